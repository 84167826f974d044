package main

import "sort"

func prices(rows []string) func(int, int) bool {
	cost := map[string]int{"a": 1}
	return func(left, right int) bool {
		if cost[rows[left]] == 0 {
			panic("no price for " + rows[left])
		}
		return cost[rows[left]] < cost[rows[right]]
	}
}

func main() {
	rows := []string{"a", "b", "a"}
	func() {
		sort.Slice(rows, prices(rows))
	}()
}
