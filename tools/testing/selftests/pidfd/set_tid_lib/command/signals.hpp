/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: signals, and the end of the command that it runs.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_SIGNALS_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_SIGNALS_HPP

#include "options.hpp"
#include "../fd.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../process.hpp"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

inline sigset_t forwarded_signals()
{
	sigset_t set;

	sigemptyset(&set);
	for (int signal : { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 })
		sigaddset(&set, signal);
	return set;
}

/* Whether a process handles, ignores or blocks a signal. */
inline bool handles_or_blocks(pid_t pid, int signal)
{
	const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");

	for (const char *key : { "\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t" }) {
		const size_t at = status.find(key);

		if (at == status.npos)
			return true;
		if (strtoull(&status[at + strlen(key)], nullptr, 16) >> (signal - 1) & 1)
			return true;
	}
	return false;
}

inline void forward(const signalfd_siginfo &info, const Child &command, bool is_init)
{
	const int signal = info.ssi_signo;

	/* What the terminal sends, it sends to the command as well. */
	if (info.ssi_code != SI_KERNEL)
		command.kill(signal);
	/*
	 * By default these signals end a process, but not the first process of
	 * a PID namespace. Here they end that one, too.
	 */
	if (is_init && !handles_or_blocks(command.pid(), signal))
		command.kill(SIGKILL);
}

inline int wait_for_command(Child &command, const Fd &signals, bool is_init)
{
	pollfd fds[2] = {};

	fds[0].fd = signals.get();
	fds[1].fd = command.pidfd().get();
	fds[0].events = fds[1].events = POLLIN;
	while (!fds[1].revents) {
		signalfd_siginfo info;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents && read(signals.get(), &info, sizeof(info)) > 0)
			forward(info, command, is_init);
	}

	const ExitStatus status = command.wait();

	if (status.error)
		fail("cannot wait for the command", status.error);
	return status.signal ? 128 + status.signal : status.code;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_SIGNALS_HPP */
