package main

type node struct {
	next  *node
	value int
}

func (n *node) last() *node {
	for n.value >= 0 {
		n = n.next
	}
	return n
}

func walk(lists []*node) (sum int) {
	for _, each := range lists {
		sum += each.last().value
	}
	return sum
}

func main() {
	println(walk([]*node{{nil, -1}, {&node{nil, 2}, 1}}))
}
