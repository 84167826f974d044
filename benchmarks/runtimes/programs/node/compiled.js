Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
function weightOf(value) {
  if (value < 0) die();
  return value * 2;
}
function weigh(values) {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += weightOf(values[at]);
  return sum;
}
function audit(values) {
  return weigh(values) + 1;
}
const values = new Array(100).fill(1);
let found = 0;
for (let round = 0; round < 20000; round++) found += audit(values);
values[50] = -1;
console.log(found, audit(values));
