# Finds a Rust toolchain that is new enough and puts it first on PATH. Sourced, never run.
#
# Looks at PATH, at rustup's folder, at its stable toolchain even where that is not the default, and
# at the versioned folders of Ubuntu's packages, newest first.
# Afterwards `cargo`, `rustc`, `rustfmt` and `clippy` all come from the same place.

RUST_VERSION_MIN=1.89

# version_at_least VERSION MINIMUM
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# rust_version FOLDER: prints the version of the rustc there when cargo is there too.
rust_version() {
    [ -x "$1/cargo" ] && [ -x "$1/rustc" ] || return 1
    "$1/rustc" --version 2>/dev/null | awk '{ print $2; found = 1 } END { exit !found }'
}

# find_toolchain: puts the first toolchain that is new enough on PATH, or returns 1.
find_toolchain() {
    local folder version
    local IFS=$'\n'
    for folder in $(tr ':' '\n' <<<"$PATH") "${CARGO_HOME:-$HOME/.cargo}/bin" \
        $(rustup which --toolchain stable rustc 2>/dev/null | xargs -r dirname) \
        $(ls -d /usr/lib/rust-1.*/bin 2>/dev/null | sort -rV); do
        version=$(rust_version "$folder") || continue
        if version_at_least "$version" "$RUST_VERSION_MIN"; then
            PATH="$folder:$PATH"
            export PATH
            return 0
        fi
    done
    return 1
}
