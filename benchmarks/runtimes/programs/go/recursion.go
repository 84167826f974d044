package main

func countdown(values []int, left int) int {
	if left == 0 {
		return values[len(values)]
	}
	return countdown(values, left-1) + left
}

func main() {
	println(countdown([]int{1}, 12))
}
