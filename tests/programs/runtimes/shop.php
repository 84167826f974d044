<?php
// Prints the stack as PHP itself tells it, and ends with a core.
namespace Acme;

trait Logs
{
    public function log(callable $text): string
    {
        return $text();
    }
}

class Shop
{
    use Logs;

    public function pay(int $order): string
    {
        debug_print_backtrace();
        ob_flush();
        posix_kill(posix_getpid(), SIGNAL);
        return "";
    }

    public static function run(): array
    {
        return array_map(function ($order) {
            $shop = new Shop();
            return $shop->log(fn() => $shop->pay($order));
        }, [1, 2]);
    }
}

class Text
{
    public function __toString(): string
    {
        return implode(Shop::run());
    }
}

function outer(string ...$words): int
{
    return strlen((string) new Text());
}

define("SIGNAL", 6);
define("Acme\\SIGNAL", 6);
usleep(1);
ob_start();
outer("a");
