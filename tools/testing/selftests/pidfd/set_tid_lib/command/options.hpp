/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: its command line.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP

#include <getopt.h>
#include <stdarg.h>

#include <charconv>
#include <optional>

#include "../capability.hpp"
#include "../pids.hpp"
#include "../requirement.hpp"

/* As env(1) has them. */
enum {
	exit_refused = 125,
	exit_cannot_run = 126,
	exit_not_found = 127,
};

inline constexpr char usage[] =
	"Usage: set_tid [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"Run COMMAND with chosen PIDs.\n"
	"\n"
	"  -p, --pid PID[,PID]...   the PIDs, innermost namespace first; levels further\n"
	"                           out get whatever is free\n"
	"  -n, --new-pidns[=N]      create N (1) PID namespaces, each inside the other,\n"
	"                           and run COMMAND as the first process of the last\n"
	"  -e, --enter PID          start from the PID namespace of process PID\n"
	"  -u, --user UID           become this user, without capabilities, before asking\n"
	"  -x, --explain            if the request is refused, tell what the kernel says of\n"
	"                           it: level, namespace, who has the PID (takes tracefs)\n"
	"  -r, --report             tell what was requested, what came of it, and how long\n"
	"                           it took\n"
	"  -h, --help               show this text\n"
	"\n"
	"Level 0 is the PID namespace that /proc belongs to, a new namespace is one level\n"
	"further in. Choosing PIDs takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the\n"
	"user namespaces that own the levels.\n"
	"\n"
	"The exit status is that of COMMAND, 128+N if signal N killed it, 125 if the\n"
	"request was refused, 126 if COMMAND cannot be run, 127 if it was not found.\n"
	"\n"
	"Two namespaces below this one, and a process that is 1, 42 and 31496 in them:\n"
	"  set_tid --pid 1,42,31496 --new-pidns=2 --report -- sleep 1\n";

/* Why the command is not run, in one line. */
struct Failure {
	std::string text;
};

/* By exception, so that children and namespaces are gone when the tool is. */
[[noreturn, gnu::format(printf, 1, 2)]] inline void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	throw Failure{ text };
}

struct Options {
	Pids pids;
	int new_namespaces = 0;
	std::optional<pid_t> enter;
	std::optional<uid_t> user;
	bool report = false;
	bool explain = false;
	char **command = nullptr;
};

template <typename Number>
Number parse_number(const char *option, std::string_view text, Number lowest, Number highest)
{
	const char *end = text.data() + text.size();
	const std::string shown(text);
	Number number = 0;
	const auto result = std::from_chars(text.data(), end, number);

	if (text.empty() || result.ec == std::errc::invalid_argument || result.ptr != end)
		fail("%s: \"%s\" is not a number", option, shown.c_str());
	if (result.ec != std::errc() || number < lowest || number > highest)
		fail("%s: %s is not between %s and %s", option, shown.c_str(),
		     std::to_string(lowest).c_str(), std::to_string(highest).c_str());
	return number;
}

/* The kernel is the judge of the numbers: any that fits a pid_t goes. */
inline Pids parse_pids(std::string_view text)
{
	Pids pids;

	for (;;) {
		const size_t comma = text.find(',');

		pids.push_back(
			parse_number<pid_t>("--pid", text.substr(0, comma), INT32_MIN, INT32_MAX));
		if (comma == text.npos)
			return pids;
		text.remove_prefix(comma + 1);
	}
}

inline Options parse_options(int argc, char **argv)
{
	static const option options[] = {
		{ "pid", required_argument, nullptr, 'p' },
		{ "new-pidns", optional_argument, nullptr, 'n' },
		{ "enter", required_argument, nullptr, 'e' },
		{ "user", required_argument, nullptr, 'u' },
		{ "report", no_argument, nullptr, 'r' },
		{ "explain", no_argument, nullptr, 'x' },
		{ "help", no_argument, nullptr, 'h' },
		{},
	};
	Options parsed;
	int c;

	while ((c = getopt_long(argc, argv, "+p:n::e:u:xrh", options, nullptr)) != -1) {
		switch (c) {
		case 'p':
			if (!parsed.pids.empty())
				fail("--pid is given twice");
			parsed.pids = parse_pids(optarg);
			break;
		case 'n':
			parsed.new_namespaces = optarg ? parse_number<int>("--new-pidns", optarg, 1,
									   max_pid_ns_level) :
							 1;
			break;
		case 'e':
			parsed.enter = parse_number<pid_t>("--enter", optarg, 1, INT32_MAX);
			break;
		case 'u':
			/* The highest number stands for "no user". */
			parsed.user = parse_number<uid_t>("--user", optarg, 0, UINT32_MAX - 1);
			break;
		case 'x':
			parsed.explain = true;
			break;
		case 'r':
			parsed.report = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			/* getopt_long() has said what is wrong. */
			fputs("Try \"set_tid --help\".\n", stderr);
			exit(exit_refused);
		}
	}
	if (optind == argc)
		fail("no command given; try \"set_tid --help\"");
	parsed.command = argv + optind;
	return parsed;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP */
