#!/bin/bash
# The completion for zsh: in an interactive shell, with the key pressed.
. "$(dirname "$0")/../fixture.sh"
need python3 zsh

make_shell() {
    mkdir "$scratch/functions" "$scratch/dot"
    cp "$source_tree/completions/_offload" "$scratch/functions"
    cat >"$scratch/dot/.zshrc" <<END
PS1='ready> '
path=($scratch/bin /usr/bin /bin)
fpath=($scratch/functions \$fpath)
unsetopt zle_bracketed_paste 2>/dev/null
unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D
zle -C every complete-word _generic
zstyle ':completion:every:*' completer _all_matches _complete
zstyle ':completion:every:*' insert true
show() { print -rn -- "@""@<\$BUFFER>@""@" }
zle -N show
forget() { BUFFER=; zle accept-line }
zle -N forget
bindkey -e
bindkey '^Xa' every
bindkey '^Xp' show
bindkey '^Xk' forget
END
    shell=(env ZDOTDIR="$scratch/dot" zsh -o no_global_rcs -i)
}

. "$(dirname "$0")/cases.sh"
