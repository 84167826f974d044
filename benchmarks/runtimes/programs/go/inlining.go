package main

type order struct{ lines []int }

func price(lines []int, at int) int { return lines[at] }

func (o *order) line(at int) int { return price(o.lines, at) }

func (o *order) total() int {
	return o.line(0) + o.line(1)
}

func checkout(o *order) int { return o.total() + 1 }

func main() {
	println(checkout(&order{make([]int, 1)}))
}
