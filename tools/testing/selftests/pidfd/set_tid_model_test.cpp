// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid against a model of it: random callers make random
 * requests in random namespaces. Each answer and effect is compared with what
 * Documentation/userspace-api/set_tid.rst says.
 *
 * The model knows namespaces and their owners, the callers' capabilities, who
 * holds which PID (processes, threads, zombies, process groups, sessions),
 * pid_max and the automatic sequences. A caller may enter a namespace that
 * somebody else has created and that has no init yet, and create the init there.
 *
 * One worker has its namespaces to itself, and exactly one answer is right.
 * Several workers share their namespaces. Each has PIDs that only it requests
 * (one answer is right), and there are some that all request (success, or
 * EEXIST if another worker may have the PID). No PID ever has two holders.
 *
 * As a command it runs for a given time:
 *
 *	set_tid_model_test --minutes N [--workers K] [--seed S]
 *
 * As a test it takes SET_TID_MODEL_SECONDS for each of its two cases (10 if not
 * set) and SET_TID_MODEL_SEED, if set. A run with one worker can be repeated: on
 * a machine that has just been started and does nothing else the same seed makes
 * the same calls. The calls before a mismatch are cut down to a few.
 *
 * SET_TID_MODEL_STARVE=1 lets it lower kernel.pid_max so far that for moments
 * nobody on the machine can create a process: for a machine that has nothing
 * else to do.
 *
 * set_tid_lib/model/ has the model, the rules and the random calls;
 * set_tid_lib/model_run/ the processes that make the calls and check them.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/model_run/command.hpp"

#include <stdint.h>
#include <string.h>

#include <optional>

using namespace model;

FIXTURE(model)
{
	uint64_t seed;
	double seconds;
};

FIXTURE_SETUP(model)
{
	SKIP_IF_MISSING(missing());
	self->seed = number_from("SET_TID_MODEL_SEED", new_seed());
	self->seconds = number_from("SET_TID_MODEL_SECONDS", 10);
}

FIXTURE_TEARDOWN(model)
{
}

TEST_F_TIMEOUT(model, all_rows_one_worker, 3600)
{
	TH_LOG("seed %llu", (unsigned long long)self->seed);
	const Totals t = run_alone(self->seed, self->seconds, [](const Totals &) {});

	TH_LOG("%ld calls, %ld processes, %d runs", t.calls, t.successes, t.runs);
	EXPECT_TEXT("", t.mismatch);
	EXPECT_LT(0, t.successes);
}

TEST_F_TIMEOUT(model, all_rows_several_workers, 3600)
{
	SKIP_IF_MISSING(missing_for_workers());
	TH_LOG("seed %llu", (unsigned long long)self->seed);
	const Totals t = run_together(self->seed, self->seconds, 3, [](const Totals &) {});

	TH_LOG("%ld calls, %ld processes", t.calls, t.successes);
	EXPECT_TEXT("", t.mismatch);
	EXPECT_LT(0, t.successes);
}

int main(int argc, char **argv)
{
	/* The harness has short options only. */
	if (argc < 2 || strncmp(argv[1], "--", 2) != 0)
		return test_harness_run(argc, argv);
	const std::optional<Options> options = parse_options(argc, argv);

	return options ? soak(*options) : KSFT_FAIL;
}
