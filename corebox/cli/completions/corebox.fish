# Fish completion for corebox.
function __corebox_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    # A quote that is open yet cannot be taken away.
    set -l plain (string unescape -- $current); and set current $plain
    set -l option (string match -r '^--[^=]*=' -- $current)
    set -l path (string replace -r '^--[^=]*=' '' -- $current)
    for line in ($words[1] completion fish -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case \tfile
                for each in (__fish_complete_path $path)
                    echo "$option$each"
                end
            case \tdir
                for each in (__fish_complete_directories $path)
                    echo "$option$each"
                end
            case '*'
                echo $line
        end
    end
end
complete -c corebox -f -a '(__corebox_complete)'
