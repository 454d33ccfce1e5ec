/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: its command line.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP

#include "failure.hpp"
#include "../capability.hpp"
#include "../pids.hpp"
#include "../requirement.hpp"
#include "../trace.hpp"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

/* Whoever builds the command gives it a version: -DSET_TID_VERSION='"1.0"'. */
#ifndef SET_TID_VERSION
#define SET_TID_VERSION "unknown"
#endif

inline constexpr char usage[] =
	"Usage: set_tid [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"  or:  set_tid [--enter PID] --check [--report] [--pid PID[,PID]... | --criu-images DIR]\n"
	"  or:  set_tid [--enter PID] --pid-min N\n"
	"Run COMMAND with chosen PIDs; say beforehand whether they are free; or keep the\n"
	"PIDs below N free.\n"
	"\n"
	"  -p, --pid PID[,PID]...   the PIDs, innermost namespace first; outer levels that\n"
	"                           are not named get any free PID\n"
	"  -n, --new-pidns[=N]      create N (1) PID namespaces, each inside the other,\n"
	"                           and run COMMAND as the first process of the last\n"
	"  -e, --enter PID          start from the PID namespace of process PID\n"
	"  -u, --user UID           become this user, without capabilities, before the call\n"
	"  -x, --explain            if the request is refused, also show what the kernel\n"
	"                           reports: level, namespace, reason, who has the PID\n"
	"  -r, --report             show the requested PIDs, the PIDs that COMMAND got, and\n"
	"                           how long that took; with --check, after a restore: has\n"
	"                           one process or thread the PIDs of each request?\n"
	"  -j, --json               with --report, --explain or --check: write the report, or\n"
	"                           why COMMAND is not run, as a line of JSON\n"
	"  -c, --check              run nothing: is each of the PIDs free, and if not, who has\n"
	"                           it? Without --pid: of standard input, a list a line\n"
	"  -i, --criu-images DIR    with --check: the PIDs in these images of CRIU's\n"
	"  -m, --pid-min N          run nothing: from now on the kernel chooses no PID below N\n"
	"                           there (kernel.pid_min); 1 is how it starts\n"
	"  -h, --help               show this text\n"
	"  -V, --version            show the version\n"
	"\n"
	"Level 0 is the PID namespace that /proc belongs to, a new namespace is one level\n"
	"further in. Choosing PIDs takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the\n"
	"user namespaces that own the levels.\n"
	"\n"
	"This works on any Linux since 5.5. CAP_CHECKPOINT_RESTORE exists since 5.9.\n"
	"--enter without --check, and --new-pidns=N with N above 1, take Linux 5.8. --explain\n"
	"takes tracefs and a kernel with the trace event set_tid_refused, --pid-min one with\n"
	"kernel.pid_min.\n"
	"\n"
	"The exit status is that of COMMAND, 128+N if signal N killed it, 125 if COMMAND\n"
	"was not run because of an error or a refused request, 126 if COMMAND cannot be\n"
	"executed, 127 if it was not found. With --check it is 0 if all PIDs are free, 1 if\n"
	"one is not, 2 if that cannot be told; with --report, 0 if all have come back, 1 if\n"
	"one has not, 2 if that cannot be told.\n"
	"\n"
	"Two namespaces below this one, and a process that is 1, 42 and 31496 in them:\n"
	"  set_tid --pid 1,42,31496 --new-pidns=2 --report -- sleep 1\n";

struct Options {
	Pids pids;
	int new_namespaces = 0;
	std::optional<pid_t> enter;
	std::optional<uid_t> user;
	std::optional<int> pid_min;
	std::optional<std::string> criu_images;
	bool check = false;
	bool report = false;
	bool explain = false;
	bool json = false;
	char **command = nullptr;
};

template <typename Number>
Number parse_number(const std::string &option, std::string_view text, Number lowest, Number highest)
{
	const char *end = text.data() + text.size();
	const std::string shown(text);
	Number number = 0;
	const auto result = std::from_chars(text.data(), end, number);

	if (text.empty() || result.ec == std::errc::invalid_argument || result.ptr != end)
		fail(option + ": \"" + shown + "\" is not a number");
	if (result.ec != std::errc() || number < lowest || number > highest)
		fail(option + ": " + shown + " is not between " + std::to_string(lowest) + " and " +
		     std::to_string(highest));
	return number;
}

/* The kernel validates the numbers: any that fits a pid_t is passed on. */
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

inline void take_option(int c, Options &options)
{
	switch (c) {
	case 'p':
		if (!options.pids.empty())
			fail("--pid is given twice");
		options.pids = parse_pids(optarg);
		break;
	case 'n':
		options.new_namespaces =
			optarg ? parse_number<int>("--new-pidns", optarg, 1, max_pid_ns_level) : 1;
		break;
	case 'e':
		options.enter = parse_number<pid_t>("--enter", optarg, 1, INT32_MAX);
		break;
	case 'u':
		/* The highest number stands for "no user". */
		options.user = parse_number<uid_t>("--user", optarg, 0, UINT32_MAX - 1);
		break;
	case 'c':
		options.check = true;
		break;
	case 'i':
		options.criu_images = optarg;
		break;
	case 'm':
		options.pid_min = parse_number<int>("--pid-min", optarg, 1, INT32_MAX);
		break;
	case 'x':
		options.explain = true;
		break;
	case 'r':
		options.report = true;
		break;
	case 'j':
		options.json = true;
		break;
	case 'h':
		print(usage);
		exit(0);
	case 'V':
		print("set_tid " SET_TID_VERSION "\n");
		exit(0);
	default:
		/* getopt_long() has printed what is wrong. */
		fputs("Try \"set_tid --help\".\n", stderr);
		exit(exit_refused);
	}
}

inline void check_options_without_command(const Options &options, bool command)
{
	const bool runs = command || options.new_namespaces || options.user || options.explain ||
			  (options.report && !options.check);

	if (options.criu_images && !options.check)
		fail("--criu-images needs --check");
	if (options.criu_images && !options.pids.empty())
		fail("--criu-images and --pid both say which PIDs");
	if (options.check && options.pid_min)
		fail("--check changes nothing: --pid-min comes after it");
	if (options.check && runs)
		fail("--check runs nothing: it takes --pid, --criu-images, --enter, --report and --json");
	if (options.pid_min && (runs || !options.pids.empty() || options.json))
		fail("--pid-min runs nothing, and takes no other option than --enter");
}

inline Options parse_options(int argc, char **argv)
{
	static const option known[] = {
		{ "pid", required_argument, nullptr, 'p' },
		{ "new-pidns", optional_argument, nullptr, 'n' },
		{ "enter", required_argument, nullptr, 'e' },
		{ "user", required_argument, nullptr, 'u' },
		{ "check", no_argument, nullptr, 'c' },
		{ "criu-images", required_argument, nullptr, 'i' },
		{ "pid-min", required_argument, nullptr, 'm' },
		{ "explain", no_argument, nullptr, 'x' },
		{ "report", no_argument, nullptr, 'r' },
		{ "json", no_argument, nullptr, 'j' },
		{ "help", no_argument, nullptr, 'h' },
		{ "version", no_argument, nullptr, 'V' },
		{},
	};
	Options options;
	int c;

	while ((c = getopt_long(argc, argv, "+p:n::e:u:ci:m:xrjhV", known, nullptr)) != -1)
		take_option(c, options);
	if (options.check || options.pid_min || options.criu_images) {
		check_options_without_command(options, optind != argc);
		return options;
	}
	if (options.json && !options.report && !options.explain)
		fail("--json needs --report, --explain or --check");
	if (optind == argc)
		fail("no command given; try \"set_tid --help\"");
	options.command = argv + optind;
	return options;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_OPTIONS_HPP */
