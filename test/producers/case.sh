# For the scripts beside this one: begin DIRECTORY, then in_case NAME before the commands of a case.
# What the tools say goes to DIRECTORY/said.txt.
# shellcheck shell=sh
begin() {
    mkdir -p "$1"
    produced=$(cd "$1" && pwd)
    exec >"$produced/said.txt" 2>&1 </dev/null
}

in_case() {
    echo "== $1"
    mkdir "$produced/$1"
    cd "$produced/$1"
}
