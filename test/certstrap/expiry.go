package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func printExpiry(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var now int64
		var years, months, days, hours, minutes, seconds int
		if _, err := fmt.Sscan(lines.Text(), &now, &years, &months, &days, &hours, &minutes, &seconds); err != nil {
			return err
		}
		ends := time.Unix(now, 0).UTC().AddDate(years, months, days).
			Add(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
		fmt.Println(ends.Unix())
	}
	return nil
}
