#!/bin/bash
# The completion for bash, as a user of bash-completion meets it: in an interactive shell, with the key pressed.
. "$(dirname "$0")/../fixture.sh"
need python3
for framework in /usr/share/bash-completion/bash_completion /usr/local/share/bash-completion/bash_completion ''; do
    [ -r "$framework" ] && break
done
[ -n "$framework" ] || skip_all "bash-completion is not installed"

make_shell() {
    cat >"$scratch/bashrc" <<END
PS1='ready> '
PATH=$scratch/bin:/usr/bin:/bin
. '$framework'
BASH_COMPLETION_USER_DIR=$scratch/user
show() { printf '%s%s>%s' '@@' "<\$READLINE_LINE" '@@'; }
bind 'set enable-bracketed-paste off'
bind '"\C-xa": insert-completions'
bind -x '"\C-xp": show'
bind '"\C-xk": "\C-a\C-k\C-m"'
END
    shell=(bash --noprofile --rcfile "$scratch/bashrc" -i)
    # Where bash-completion looks for it by the command's name.
    mkdir -p "$scratch/user/completions"
    cp "$source_tree/completions/offload.bash" "$scratch/user/completions/offload"
}

. "$(dirname "$0")/cases.sh"
