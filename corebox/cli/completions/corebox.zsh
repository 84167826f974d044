#compdef corebox
# Zsh completion for corebox.
_corebox() {
    local line kind
    local -a plain
    for line in "${(@f)$("${words[1]}" completion zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        case $line in
            $'\tfile') kind=file ;;
            $'\tdir') kind=dir ;;
            ?*) plain+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( $#plain )) && _describe -t words corebox plain
    [[ $PREFIX == --*=* ]] && compset -P '*='
    case $kind in
        file) _files ;;
        dir) _files -/ ;;
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _corebox "$@"
else
    compdef _corebox corebox
fi
