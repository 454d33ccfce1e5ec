// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid against a model of it: random callers make random
 * requests in random namespaces, and each answer and effect is compared with
 * what Documentation/userspace-api/set_tid.rst makes of it.
 *
 * The model knows namespaces and their owners, the callers' capabilities, who
 * holds which PID (processes, threads, zombies, process groups, sessions),
 * pid_max and the automatic sequences. A caller may have entered a namespace that
 * has no init yet, which somebody else has created, and create it there.
 *
 * One worker has its namespaces to itself, and exactly one answer is right.
 * Several workers share theirs: each has PIDs that only it asks for (one answer
 * is right), and some that all ask for (got, or in use if somebody may have it).
 * No PID ever has two holders.
 *
 * As a command it runs for as long as it is told to:
 *
 *	set_tid_model_test --minutes N [--workers K] [--seed S]
 *
 * As a test it takes SET_TID_MODEL_SECONDS for each of its two parts (10 if not
 * set) and SET_TID_MODEL_SEED, if set. What one worker did can be replayed: on a
 * machine that has just been started and does nothing else the same seed makes
 * the same calls. A mismatch is cut down to a few calls.
 *
 * SET_TID_MODEL_STARVE=1 lets it lower kernel.pid_max so far that for moments
 * nobody on the machine can create a process: for a machine that has nothing
 * else to do.
 */
#include "../kselftest_harness.h"
#include "set_tid_lib/model/command.hpp"

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
	uint64_t seed = number_from("SET_TID_MODEL_SEED", new_seed());
	double minutes = -1;
	int workers = 1;

	for (int i = 1; i < argc && !strncmp(argv[i], "--", 2); i += 2) {
		const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
		char *end = nullptr;

		if (name == "--minutes")
			minutes = strtod(value.c_str(), &end);
		else if (name == "--workers")
			workers = strtol(value.c_str(), &end, 10);
		else if (name == "--seed")
			seed = strtoull(value.c_str(), &end, 0);
		if (!end || *end || value.empty() || workers < 1 || workers > max_workers) {
			fprintf(stderr,
				"usage: %s --minutes N [--workers 1..%d] [--seed S], or as a test: %s -h\n",
				argv[0], max_workers, argv[0]);
			return KSFT_FAIL;
		}
	}
	if (minutes >= 0)
		return soak(minutes, workers, seed);
	return test_harness_run(argc, argv);
}
