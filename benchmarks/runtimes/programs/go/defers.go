package main

import "errors"

type account struct{ balance int }

func (a *account) close() {
	if a.balance < 0 {
		panic(errors.New("a balance below zero"))
	}
}

func withdraw(a *account, amount int) {
	defer a.close()
	defer func() {
		if recover() == nil {
			return
		}
		a.balance -= 100
	}()
	if amount > a.balance {
		panic("not enough")
	}
}

func main() {
	withdraw(&account{10}, 20)
}
