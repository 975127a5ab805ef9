# Completion of ipvsadm(8) for bash: /usr/share/bash-completion/completions/ipvsadm
#
# The program itself knows what fits: `ipvsadm complete` is handed the words and prints the candidates for the last one.

_ipvsadm() {
    local line=${COMP_LINE:0:COMP_POINT} candidate begun
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    COMPREPLY=()
    if [[ ${words[1]} == diff && ${#words[@]} -gt 2 ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r candidate; do
            [[ $candidate ]] && COMPREPLY+=("$candidate")
        done <<<"$(compgen -f -- "$2")"
        return
    fi
    # Bash breaks words at colons and `=`, and replaces only the last piece of one: the others are left out of the reply.
    begun=${words[-1]}
    begun=${begun%"$2"}
    while IFS=$'\t' read -r candidate _; do
        [[ $candidate ]] && COMPREPLY+=("${candidate#"$begun"}")
    done <<<"$("${1/#\~\//$HOME/}" complete "${words[@]:1}" 2>/dev/null)"
}

complete -F _ipvsadm ipvsadm
