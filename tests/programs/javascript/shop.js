// Crashes below interpreted functions, or below compiled ones; each function on a line of its own.
class Stock {
  constructor(size) {
    this.shelves = Array.from({ length: size }, (_, number) => ({ number, weight: number % 7 }));
  }
  weigh() {
    return this.shelves.reduce((sum, shelf) => sum + weightOf(shelf), 0);
  }
}
function weightOf(shelf) {
  if (shelf.number === broken) process.abort();
  return shelf.weight;
}
const audit = (stock) => {
  return stock.weigh();
};
let broken = process.argv[2] === "compiled" ? -1 : 2;
setTimeout(function onAudit() {
  const stock = new Stock(1000);
  for (let round = 0; broken < 0 && round < 3000; round++) audit(stock);
  broken = 2;
  audit(stock);
}, 1);
