# Completion of ipvsadm(8) for fish: /usr/share/fish/vendor_completions.d/ipvsadm.fish
#
# The program itself knows what fits: `ipvsadm complete` is handed the words and prints the candidates for the last one,
# with explanations.

function __ipvsadm_candidates
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    $words[1] complete $words[2..] "$last" 2>/dev/null
end

complete -c ipvsadm -f -a '(__ipvsadm_candidates)'
complete -c ipvsadm -n '__fish_seen_subcommand_from diff' -F
