class Compiled {
    static int weightOf(int value) {
        if (value < 0) {
            return Crash.now();
        }
        return value * 2;
    }

    static int weigh(int[] values) {
        int sum = 0;
        for (int value : values) {
            sum += weightOf(value);
        }
        return sum;
    }

    static int audit(int[] values) {
        return weigh(values) + 1;
    }

    public static void main(String[] arguments) {
        int[] values = new int[100];
        int found = 0;
        for (int round = 0; round < 60000; round++) {
            found += audit(values);
        }
        values[50] = -1;
        System.out.println(found + audit(values));
    }
}
