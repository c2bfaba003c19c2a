# shellcheck shell=bash disable=SC2329
BLOG=/run/dormouse-blog.sock
ask_blog() { inside curl --silent --show-error --max-time 20 --unix-socket "$BLOG" http://blog/hello; }

serves_on_its_own_socket() {
    put /etc/dormouse/blog.toml <<<"$FAST_SLEEP"$'[[route]]\npath = "/hello"\ntext = "blog"\n'
    inside systemctl enable --now dormouse@blog.socket
    equal "$BLOG" '660 root:dormouse' "$(inside stat -c '%a %U:%G' "$BLOG")"
    equal 'the answer' blog "$(ask_blog)"
    equal 'its state' dormouse:dormouse "$(inside stat -c %U:%G /var/lib/dormouse/blog)"
}

sleeps_and_keeps_its_path() {
    local inode
    inode=$(inside stat -c %i "$BLOG")
    falls_asleep dormouse@blog
    equal 'the answer' blog "$(ask_blog)"
    falls_asleep dormouse@blog
    equal 'the inode of its path' "$inode" "$(inside stat -c %i "$BLOG")"
}

does_not_wake_the_other() {
    configure "$FAST_SLEEP$ROUTES"
    falls_asleep
    equal 'the answer' blog "$(ask_blog)"
    is_asleep dormouse
}

takes_a_port_from_a_drop_in() {
    put /etc/systemd/system/dormouse@blog.socket.d/port.conf <<<$'[Socket]\nListenStream=127.0.0.1:8081'
    inside systemctl daemon-reload
    inside systemctl restart dormouse@blog.socket
    equal 'the answer on the port' blog "$(inside curl --silent --max-time 20 http://127.0.0.1:8081/hello)"
    equal 'the answer on the path' blog "$(ask_blog)"
    falls_asleep dormouse@blog
}

reloads_its_own_config() {
    put /etc/dormouse/blog.toml <<<$'[[route]]\npath = "/hello"\ntext = "reloaded"\n'
    ask_blog >/dev/null
    put /etc/dormouse/blog.toml <<<$'[[route]]\npath = "/hello"\ntext = "again"\n'
    inside systemctl reload dormouse@blog.service
    wait_until 5 blog_says again
    put /etc/dormouse/blog.toml <<<'rubbish'
    refute inside systemctl reload dormouse@blog.service
    put /etc/dormouse/blog.toml <<<"$FAST_SLEEP"$'[[route]]\npath = "/hello"\ntext = "blog"\n'
    inside systemctl --quiet stop dormouse@blog.service
    equal 'the answer' blog "$(ask_blog)"
}

blog_says() { [[ $(ask_blog) == "$1" ]]; }

check 'an instance serves on a socket of its own' serves_on_its_own_socket
check 'it sleeps, and its path stays' sleeps_and_keeps_its_path
check 'it wakes no other instance' does_not_wake_the_other
check 'a drop-in gives it a port' takes_a_port_from_a_drop_in
check 'it checks and reloads its own config' reloads_its_own_config
