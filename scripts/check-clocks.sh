#!/bin/sh
# Usage: scripts/check-clocks.sh [FOLDER...]
#
# The wall clock is read in proxy/base/wall_clock.c alone, for dates: no interval is measured and nothing is
# waited for on a clock that can be set.  Timers are made in proxy/loop/deadline.c alone, which looks at what is
# waited for before it lets it go; nothing sleeps.
set -u
failed=0
[ $# -gt 0 ] || set -- proxy cache conf

# complain WHY PATTERN HOMES
complain() {
	why=$1
	pattern=$2
	homes=$3
	shift 3
	# comments speak of clocks as they like
	lines=$(for file in $files; do
		case " $homes " in *" ${file%.h}.c "* | *" $file "*) continue ;; esac
		sed -e 's|/\*.*\*/||' -e 's|//.*||' -e '/^[ 	]*\*/d' -e 's|/\*.*||' "$file" |
			grep -nE "$pattern" | sed "s|^|$file:|"
	done)
	[ -n "$lines" ] || return 0
	printf '%s\n' "$lines" | sed "s|\$|    <- $why|"
	failed=1
}

files=$(find "$@" -name '*.[ch]' | sort)
word='(^|[^A-Za-z0-9_.>])'

complain 'the wall clock: proxy/base/wall_clock.h' "$word(time|gettimeofday|ftime|timespec_get|ev_time|ev_now|ev_now_update)[ 	]*\(|$word(CLOCK_REALTIME|CLOCK_REALTIME_COARSE|CLOCK_REALTIME_ALARM|CLOCK_TAI|TIME_UTC)\>" \
	proxy/base/wall_clock.c
complain 'waits on the wall clock' "$word(sem_timedwait|pthread_cond_timedwait|pthread_mutex_timedlock|pthread_rwlock_timed(rd|wr)lock|cnd_timedwait|mtx_timedlock|mq_timedreceive|mq_timedsend|thrd_sleep|ev_periodic_[a-z]+|alarm|ualarm|setitimer)[ 	]*\(|${word}ev_periodic\>" \
	none
complain 'a deadline: proxy/loop/deadline.h' "$word(ev_timer[a-z_]*|ev_once|timerfd_create|timer_create|setitimer)\>" \
	proxy/loop/deadline.c
complain 'sleeps' "$word(sleep|usleep|nanosleep|clock_nanosleep|ev_sleep)[ 	]*\(" none
complain 'waits in poll() but the master and commands: a deadline' "${word}p?poll[ 	]*\([^;]*,[ 	]*[1-9A-Za-z_-][^,;()]*(\([^()]*\))?\)|$word(select|pselect|epoll_wait|epoll_pwait|epoll_pwait2)[ 	]*\(" \
	"proxy/process/master.c proxy/loop/listener_file.c proxy/cli/ask.c proxy/cli/change.c proxy/cli/purge.c proxy/cli/screen.c conf/source.c"

[ "$failed" -eq 0 ] && echo "check-clocks: ok"
exit "$failed"
