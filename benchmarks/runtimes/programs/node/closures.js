Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const makeTill = (limit) => {
  let sum = 0;
  return (amount) => {
    sum += amount;
    if (sum > limit) die();
    return sum;
  };
};
const till = makeTill(5);
const pay = function (amounts) {
  return amounts.map((amount) => till(amount));
};
pay([1, 2, 3]);
