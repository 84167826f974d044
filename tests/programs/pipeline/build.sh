#!/bin/sh -e
# Builds the program under PREFIX ($1): a NEEDED library found by rpath, a plugin, a stripped executable and its twin.
prefix=$1
cd "$(dirname "$0")"
mkdir -p "$prefix/bin" "$prefix/lib" "$prefix/plugins" "$prefix/twin"
g++ -g -O0 -fPIC -shared -pthread -o "$prefix/lib/libstages.so" stages.cc -ldl
g++ -g -O0 -fPIC -shared -o "$prefix/plugins/sorter.so" plugin.cc -L"$prefix/lib" -lstages
g++ -g -O0 -o "$prefix/twin/pipeline" main.cc -L"$prefix/lib" -lstages -Wl,-rpath,'$ORIGIN/../lib'
strip -o "$prefix/bin/pipeline" "$prefix/twin/pipeline"
