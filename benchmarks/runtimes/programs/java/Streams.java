import java.util.stream.IntStream;

class Streams {
    static int price(int row) {
        return row == 30000 ? Crash.now() : row;
    }

    public static void main(String[] arguments) {
        System.out.println(IntStream.range(0, 40000).filter(row -> row % 2 == 0).map(Streams::price).sum());
    }
}
