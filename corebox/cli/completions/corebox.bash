# Bash completion for corebox.
_corebox() {
    local IFS=$'\n' line word=$2 kind=
    COMPREPLY=()
    for line in $("$1" completion bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null); do
        case $line in
            $'\tfile') kind=file ;;
            $'\tdir') kind=directory ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done
    # Where nothing else fits, Bash completes files itself (-o default), tildes and quotes included.
    if [[ $kind == directory || ( $kind && ${#COMPREPLY[@]} -gt 0 ) ]]; then
        local -a names=($(compgen -A "$kind" -- "$word"))
        [[ ${#names[@]} -gt 0 ]] && COMPREPLY+=("${names[@]}") && compopt -o filenames 2>/dev/null
    fi
}
complete -o default -F _corebox corebox
