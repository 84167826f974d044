// panics KIND: panics with a message that is made, that is constant, and in a thread.
fn third(values: &[i32]) -> i32 {
    values[values.len() + 1]
}

fn price(prices: &[(&str, f64)], name: &str) -> f64 {
    prices.iter().find(|each| each.0 == name).unwrap().1
}

fn refund(amount: i32) -> i32 {
    panic!("no refund of {amount} for order 4711")
}

fn exchange() -> i32 {
    panic!("a refund is not possible")
}

fn main() {
    match std::env::args().nth(1).unwrap().as_str() {
        "index" => println!("{}", third(&[1, 2])),
        "none" => println!("{}", price(&[("apple", 1.5)], "pear")),
        "literal" => println!("{}", exchange()),
        _ => std::thread::spawn(|| println!("{}", refund(12))).join().unwrap(),
    }
}
