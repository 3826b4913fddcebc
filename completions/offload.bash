# bash completion for offload(1)                                            -*- shell-script -*-

# The place of the command in COMP_WORDS: the first word that is neither an option of offload nor an option's value.
# Nothing if that comes after the word that is being completed. Readline makes words of their own of "=" and ":".
_offload_command()
{
    local i
    for ((i = 1; i <= COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --)
                ((++i <= COMP_CWORD)) && echo "$i"
                return
                ;;
            -o | --output | --policy | --engines | --buffers | --min-size | --include | --exclude | --log)
                [[ ${COMP_WORDS[i + 1]-} == = ]] && ((i++))
                ((i++))
                while [[ ${COMP_WORDS[i + 1]-} == [:=]* ]]; do
                    ((i += 2))
                done
                ;;
            --report)
                [[ ${COMP_WORDS[i + 1]-} == = ]] && ((i += 2))
                ;;
            -*) ;;
            *)
                echo "$i"
                return
                ;;
        esac
    done
}

# A comma-separated list of engines, none of them twice.
_offload_engines()
{
    local engine given=${cur%"${cur##*,}"}
    COMPREPLY=()
    for engine in clone array server kernel; do
        [[ ,$given == *,$engine,* ]] || COMPREPLY+=("$given$engine")
    done
    COMPREPLY=($(compgen -W '${COMPREPLY[@]}' -- "$cur"))
}

_offload()
{
    local cur prev words cword split at
    _init_completion -s || return

    at=$(_offload_command)
    if [[ $at ]]; then
        if ((at == COMP_CWORD)); then
            _command_offset "$at"
            [[ ${COMP_WORDS[at - 1]} == -- ]] || COMPREPLY+=($(compgen -W 'probe doctor' -- "$cur"))
        elif [[ ${COMP_WORDS[at]} == @(probe|doctor) && ${COMP_WORDS[at - 1]} != -- ]]; then
            [[ ${COMP_WORDS[at]} == doctor ]] || ((COMP_CWORD - at > 2)) || _filedir
        else
            _command_offset "$at"
        fi
        return
    fi

    case $prev in
        --policy)
            COMPREPLY=($(compgen -W 'auto always never' -- "$cur"))
            return
            ;;
        --engines)
            _offload_engines
            return
            ;;
        --buffers)
            COMPREPLY=($(compgen -W 'auto compare lazy' -- "$cur"))
            return
            ;;
        -o | --output | --log | --include | --exclude)
            _filedir
            return
            ;;
        --min-size | --help | --version)
            return
            ;;
        --report)
            # The format can only stand behind "=": a word of its own is the command.
            if $split; then
                COMPREPLY=($(compgen -W 'table json' -- "$cur"))
                return
            fi
            ;;
    esac
    $split && return

    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '-v --verbose --report --report= -o --output= --progress --policy= --engines=
            --buffers= --smb-alone --min-size= --include= --exclude= --log= --off --help --version' -- "$cur"))
        [[ ${COMPREPLY-} == *= && ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace
        return
    fi
} &&
    complete -F _offload offload
