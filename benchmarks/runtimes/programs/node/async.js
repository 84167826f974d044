Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
async function fetchOrder(number) {
  await pause(1);
  return priceOf(number);
}
function priceOf(number) {
  if (number === 3) die();
  return number;
}
async function main() {
  for (let number = 1; number < 5; number++) await fetchOrder(number);
}
main();
