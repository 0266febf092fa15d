module readers

go 1.21

// The search for blocks was reworked in late releases of 2025: older ones read otherwise.
toolchain go1.26.8
