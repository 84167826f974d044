Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const byPrice = (left, right) => {
  if (left.price === 3 || right.price === 3) die();
  return left.price - right.price;
};
function sorted(rows) {
  return rows.sort(byPrice);
}
const total = [[{ price: 3 }, { price: 1 }]].reduce((sum, rows) => {
  return sum + sorted(rows).length;
}, 0);
console.log(total);
