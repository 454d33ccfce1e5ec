// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: races. The result of calls at the same time is that of the
 * same calls in some order: one caller gets a PID, nobody sees a part of a claim, and
 * a PID is free as soon as it has been released.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 *
 * SET_TID_RACE_ROUNDS in the environment is how many rounds each of the tests makes
 * (those that make a namespace in each of them: a twentieth of that).
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/cpu.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/race.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/zombie.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 20001, free_b = 20002;

int rounds()
{
	const char *text = getenv("SET_TID_RACE_ROUNDS");

	return text && atoi(text) > 0 ? atoi(text) : 300;
}

int rounds_with_a_namespace()
{
	return std::max(rounds() / 20, 20);
}

/*
 * A write that is not at the start of a file of kernel.* is ignored: it must not put back
 * what it has found, over what another one writes meanwhile. Two children do nothing but
 * such writes: one elsewhere, and one on the caller's CPU, which a preemptible kernel takes
 * from it in the middle of them. Returns how often the caller did not read what it had
 * written, or -1 if a child has written nothing.
 */
int lost_writes(const char *path)
{
	struct Ignored {
		std::atomic<long> here, elsewhere;
	};
	const Fd file(open(path, O_WRONLY | O_CLOEXEC));
	const Shared<Ignored> ignored;
	auto writer = [&](bool here) {
		return run_in_child([&, here] {
			if (here)
				stay_on_this_cpu();
			else
				stay_off_this_cpu();
			while (pwrite(file.get(), "\n", 1, 1) >= 0)
				(here ? ignored->here : ignored->elsewhere)++;
			return 1;
		});
	};
	const struct sched_param first = { .sched_priority = 1 };
	int lost = 0;

	stay_on_this_cpu();
	const Spawned here = writer(true), elsewhere = writer(false);

	/* Woken, it goes first. Where that is not allowed it takes more luck. */
	sched_setscheduler(0, SCHED_FIFO, &first);
	for (int i = 0; i < 10 * rounds(); i++) {
		const pid_t value = 10000 + i % 10000;

		write_file(path, std::to_string(value));
		usleep(i * 7 % 100);
		lost += read_number(path) != value;
	}
	return ignored->here && ignored->elsewhere ? lost : -1;
}

/*
 * Creates the first process of a namespace, at the same time as others. A process that
 * gets PID 1 stays until the round is over. Another one checks that there is a PID 1.
 */
class Entrant {
public:
	struct Claim {
		Pids pids;
		bool fails_late = false;
	};

	/* Returns the PID in the namespace, or -errno. */
	long create(const Claim &claim)
	{
		Request request = Request{}.pids(claim.pids);

		if (claim.fails_late)
			request.flags(CLONE_PIDFD).raw().pidfd = ~0ULL - 7;
		const clone_args args = request.args();

		child_->pid = 0;
		child_->without_init = false;
		const long pid = sys_clone3(&args, sizeof(args));
		if (!pid)
			_exit(live());
		if (pid < 0)
			return pid;
		pid_ = pid;
		return wait_until([&] { return child_->pid != 0; }) ? child_->pid.load() : 0;
	}
	/* Whether the process was there before the init. */
	bool was_without_init() const { return child_->without_init; }

	void end()
	{
		if (!pid_)
			return;
		kill(pid_, SIGKILL);
		while (waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR)
			;
		pid_ = 0;
	}

private:
	struct State {
		std::atomic<pid_t> pid = 0;
		std::atomic<bool> without_init = false;
	};

	int live() const
	{
		die_with_parent();
		child_->without_init = kill(1, 0) && errno == ESRCH;
		child_->pid = getpid();
		while (getpid() == 1)
			pause();
		return 0;
	}

	const Shared<State> child_;
	long pid_ = 0;
};

/* Whether callers who ask at the same time, where no init is, may get these answers. */
bool one_init(const std::vector<Entrant::Claim> &claims, const Race::Results &results,
	      const std::vector<std::shared_ptr<Entrant>> &entrants)
{
	int inits = 0;

	for (size_t i = 0; i < claims.size(); i++) {
		const bool asks = !claims[i].pids.empty();

		if (results[i] == 1 || results[i] == -EFAULT) {
			inits += results[i] == 1;
			if (claims[i].fails_late != (results[i] == -EFAULT))
				return false;
		} else if (results[i] > 1) {
			/* In the namespace of an init that was there before. */
			if (asks || entrants[i]->was_without_init())
				return false;
		} else if (results[i] != (asks ? -EEXIST : -EINVAL)) {
			return false;
		}
	}
	if (inits)
		return inits == 1;
	/* The one that had PID 1 has released it: the next one gets it. */
	return claims[0].fails_late && results[0] == -EFAULT && entrants[0]->create({}) == 1;
}

} // namespace

namespace need
{
/* Nothing happens at the same time on one. */
static const char *cpus()
{
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	return CPU_COUNT(&allowed) > 1 ? nullptr : "needs two CPUs";
}
} // namespace need

/* The harness takes the time of each test from its fixture. */
FIXTURE(race)
{
	NsChain *chain;
	pid_t hosts[3];
};

FIXTURE_SETUP_REQUIRES(race, need::root, need::cpus)
{
	self->chain = new NsChain(1);
	ASSERT_ERRNO(0, self->chain->error());
	for (pid_t &host : self->hosts)
		host = find_free_pid();
}

FIXTURE_TEARDOWN(race)
{
	delete self->chain;
}

/* The same PID further in, at both levels, and further out only. */
TEST_F_TIMEOUT(race, row20_one_of_two_callers_wins, 3600)
{
	const pid_t *hosts = self->hosts;
	const std::vector<std::vector<Pids>> pairs = {
		{ { free_a }, { free_a } },
		{ { free_a, hosts[0] }, { free_a, hosts[1] } },
		{ { free_a, hosts[0] }, { free_a, hosts[0] } },
		{ { free_a, hosts[0] }, { free_b, hosts[0] } },
	};
	int together = 0;

	{
		const ChildrenIn scope(self->chain->ns(1));
		for (const auto &pair : pairs)
			EXPECT_EQ(0, race_for(pair, rounds(), together));
	}
	EXPECT_EQ(0, race_for({ { hosts[0] }, { hosts[0] } }, rounds(), together));
	TH_LOG("%zu rounds, in %d of them at the same time", (pairs.size() + 1) * rounds(),
	       together);
}

/*
 * Three callers, two of whom want nothing that the other one has: the one in
 * the middle gets its PIDs, or else both of the others do.
 */
TEST_F_TIMEOUT(race, row20_three_callers_end_as_in_some_order, 3600)
{
	const ChildrenIn scope(self->chain->ns(1));
	const pid_t *hosts = self->hosts;
	const std::vector<std::vector<Pids>> triples = {
		{ { free_a, hosts[0] }, { free_a, hosts[1] }, { free_b, hosts[1] } },
		{ { free_a, hosts[0] }, { free_b, hosts[0] }, { free_a, hosts[2] } },
		{ { free_a }, { free_a }, { free_a } },
	};
	int together = 0;

	for (const auto &triple : triples)
		EXPECT_EQ(0, race_for(triple, rounds(), together));
	TH_LOG("%zu rounds, in %d of them at the same time", triples.size() * rounds(), together);
}

/*
 * While one caller keeps failing at the outermost level, the PID that it asks
 * for at the innermost is free for everybody else. There are many levels in between:
 * a claim that is made level by level would hold the PID for most of the call.
 */
TEST_F_TIMEOUT(race, row15_nobody_is_refused_for_a_part_of_a_claim, 3600)
{
	constexpr int depth = 24;
	NsChain chain(depth);
	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.deepest());
	Pids taken(depth, free_a);
	const int claims = 12 * rounds();
	const Shared<std::atomic<int>> failures;

	taken.push_back(getpid());
	Spawned failing = run_in_child([&] {
		Zombie zombie;

		while (zombie.attempt(taken) == EEXIST)
			++*failures;
		return 0;
	});
	int made = 0, refused = 0;
	Zombie zombie;

	ASSERT_ERRNO(0, failing.error);
	ASSERT_TRUE(wait_until([&] { return *failures > 0; }));
	const int before = failures->load();
	auto claim = [&] {
		made++;
		refused += !!zombie.attempt({ free_a });
	};
	for (int i = 0; i < claims; i++)
		claim();
	/* Until there was something to be refused for. */
	EXPECT_TRUE(wait_until([&] {
		claim();
		return *failures > before;
	}));
	EXPECT_EQ(0, refused);
	EXPECT_EQ(0, waitpid(failing.child.pid(), nullptr, WNOHANG | __WALL));
	TH_LOG("%d claims and %d that failed, %d refused", made, failures->load() - before,
	       refused);
}

/* A lookup does not find the PID of such a claim either. */
TEST_F_TIMEOUT(race, row15_nobody_finds_a_part_of_a_claim, 3600)
{
	const pid_t taken = getpid();
	const int lookups = 100 * rounds();
	const Shared<std::atomic<int>> refused;
	Spawned failing;
	{
		const ChildrenIn scope(self->chain->ns(1));

		ASSERT_ERRNO(0, scope.error());
		failing = run_in_child([&] {
			Zombie zombie;

			while (zombie.attempt({ free_a, taken }) == EEXIST)
				++*refused;
			return 0;
		});
	}
	ASSERT_ERRNO(0, failing.error);
	/* In the namespace the PID is known by this name. */
	Spawned looking = self->chain->run_at(
		1, checks(_metadata, [&](auto *_metadata) {
			const int before = refused->load();
			int made = 0, found = 0;
			auto look = [&] {
				made++;
				found += syscall(__NR_pidfd_open, free_a, 0) >= 0 || errno != ESRCH;
			};

			for (int i = 0; i < lookups; i++)
				look();
			/* Until there was something to be found. */
			EXPECT_TRUE(wait_until([&] {
				look();
				return *refused > before;
			}));
			EXPECT_EQ(0, found);
			TH_LOG("%d lookups, %d claims", made, refused->load() - before);
		}));

	EXPECT_CHECKS_PASS(looking);
	EXPECT_EQ(0, waitpid(failing.child.pid(), nullptr, WNOHANG | __WALL));
}

/*
 * One asks for the PID that is next in the sequence, the other one for any:
 * either the first has it and the second the one behind, or the second has it.
 */
TEST_F_TIMEOUT_REQUIRES(race, row17_chosen_against_automatic, 3600, need::ns_last_pid)
{
	struct Next {
		std::atomic<pid_t> pid = 0;
	};
	const Shared<Next> next;
	int first = 0;
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		Zombie chosen;
		Race race;

		/* The other runner of the race has one, too. */
		next->pid = last_pid() + 2;
		race.add([&](int) { return chosen.create({ next->pid }); },
			 [&](int) {
				 chosen.reap();
				 return 0;
			 });
		race.add_claim({});
		const int wrong = race.run(rounds(), [&](const Race::Results &results) {
			const pid_t pid = next->pid;
			const bool won = results[0] == pid && results[1] == pid + 1;
			const bool lost = results[0] == -EEXIST && results[1] == pid;
			const bool right = (won || lost) && last_pid() == results[1];

			first += won;
			/* It starts again with 300 at the end. */
			if (results[1] > 10000)
				set_last_pid(1000);
			next->pid = last_pid() + 1;
			return right;
		});
		EXPECT_EQ(0, wrong);
		TH_LOG("%d rounds, in %d of them at the same time; the chosen one was first in %d",
		       rounds(), race.together(), first);
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * One writes ns_last_pid, another one asks for the PID behind that, a third one
 * for any: it has the one that was next, the one that was asked for, or the one
 * behind it.
 */
TEST_F_TIMEOUT_REQUIRES(race, row26_against_a_writer_of_ns_last_pid, 3600, need::ns_last_pid)
{
	constexpr pid_t low = 1000;
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		Race race;

		EXPECT_ERRNO(0, set_last_pid(low - 1));
		race.add([&](int) { return set_last_pid(free_a - 1); },
			 [&](int) { return set_last_pid(low - 1); });
		race.add_claim({ free_a });
		race.add_claim({});
		const int wrong = race.run(rounds(), [&](const Race::Results &results) {
			const long any = results[2];
			/* The first two are those of the other runners. */
			const bool before = any == low + 2;

			if (results[0])
				return false;
			if (results[1] == -EEXIST)
				return any == free_a;
			return results[1] == free_a && (before || any == free_a + 1);
		});
		EXPECT_EQ(0, wrong);
		TH_LOG("%d rounds, in %d of them at the same time", rounds(), race.together());
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * One writes ns_last_pid, over and over, while another one claims PIDs, at all of 33
 * levels. Whichever is the first: the sequence goes on from what was written last.
 */
TEST_F_TIMEOUT_REQUIRES(race, row26_a_write_to_ns_last_pid_is_not_lost, 3600, need::ns_last_pid)
{
	NsChain chain(max_pid_ns_level);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		const Fd file(open("/proc/sys/kernel/ns_last_pid", O_RDWR | O_CLOEXEC));
		/* Further apart than claims go between a write and the read after it. */
		const std::string values[] = { "10000", "20000" };
		constexpr long apart = 5000;
		const Shared<std::atomic<int>> claims;
		long writes = 0, lost = 0;
		auto write_one = [&] {
			const std::string &value = values[writes++ % 2];
			char found[16] = {};

			const ssize_t written = pwrite(file.get(), value.data(), value.size(), 0);
			pread(file.get(), found, sizeof(found) - 1, 0);
			const long moved = atol(found) - atol(value.c_str());
			lost += written != static_cast<ssize_t>(value.size()) || moved < 0 ||
				moved > apart;
		};

		stay_on_this_cpu();
		const Spawned claimer = run_in_child([&] {
			stay_off_this_cpu();
			for (Zombie zombie; !zombie.attempt({});)
				++*claims;
			return 1;
		});

		for (int round = 0; round < 3 * rounds(); round++) {
			const int before = *claims;

			ASSERT_TRUE(wait_until([&] {
				write_one();
				return *claims != before;
			}));
		}
		EXPECT_EQ(0, lost);
		TH_LOG("%d rounds, %ld writes, %ld lost", 3 * rounds(), writes, lost);
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F_TIMEOUT_REQUIRES(race, row26_a_write_that_is_ignored_moves_nothing, 3600, need::ns_last_pid,
			need::strict_writes)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_EQ(0, lost_writes("/proc/sys/kernel/ns_last_pid"));
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F_TIMEOUT_REQUIRES(race, row28_a_write_that_is_ignored_moves_nothing, 3600, need::pid_min,
			need::strict_writes)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_EQ(0, lost_writes("/proc/sys/kernel/pid_min"));
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The holder of a PID at two levels is being reaped. Until then its PIDs are in
 * use, afterwards free: whoever starts to ask when it has been reaped gets them.
 */
TEST_F_TIMEOUT(race, row11_holder_exits_and_is_reaped, 3600)
{
	struct Holder {
		std::atomic<bool> reaped = false, asked = false;
	};
	const ChildrenIn scope(self->chain->ns(1));
	const Pids pids = { free_a, self->hosts[0] };
	const Shared<Holder> holder;
	Zombie held, claimed;
	int early = 0;
	Race race;

	/*
	 * Two rounds of a race are one of this: create, then reap and claim. Every
	 * other time the PIDs have been asked for before they are given back.
	 */
	race.add(
		[&](int round) {
			if (round % 2 == 0) {
				holder->reaped = holder->asked = false;
				return held.create(pids);
			}
			while (round % 4 == 1 && !holder->asked)
				sched_yield();
			held.reap();
			holder->reaped = true;
			return 1L;
		},
		nullptr);
	race.add(
		[&](int round) {
			if (round % 2 == 0)
				return 1L;
			long late = 0, result;
			int tries = 0;

			do {
				late = holder->reaped;
				result = claimed.create(pids);
				holder->asked = true;
				tries++;
			} while (result == -EEXIST && !late);
			claimed.reap();
			return result < 0 ? result : tries;
		},
		nullptr);
	const int wrong = race.run(2 * rounds(), [&](const Race::Results &results) {
		early += results[1] > 1;
		return results[0] > 0 && results[1] > 0;
	});
	EXPECT_EQ(0, wrong);
	EXPECT_LE(rounds() / 2, early);
	TH_LOG("%d rounds, %d of them with a claim that was too early", rounds(), early);
}

/* The same with two who wait for the PID: one of them gets it. */
TEST_F_TIMEOUT(race, row20_two_wait_for_a_pid_to_be_given_back, 3600)
{
	struct State {
		std::atomic<int> winners = 0;
	};
	const ChildrenIn scope(self->chain->ns(1));
	const Pids pids = { free_a, self->hosts[0] };
	const Shared<State> state;
	Zombie held;
	Race race;

	ASSERT_LT(0, held.create(pids));
	race.add(
		[&](int) {
			held.reap();
			return 1L;
		},
		[&](int) {
			/* The next one: as soon as the winner has been reaped. */
			wait_until([&] { return held.create(pids) != -EEXIST; });
			return 0;
		});
	for (int i = 0; i < 2; i++) {
		auto zombie = std::make_shared<Zombie>();

		race.add(
			[&, zombie](int) {
				long result;

				do
					result = zombie->create(pids);
				while (result == -EEXIST && !state->winners);
				if (result > 0)
					++state->winners;
				return result;
			},
			[zombie](int) {
				zombie->reap();
				return 0;
			});
	}
	const int wrong = race.run(rounds(), [&](const Race::Results &results) {
		const bool right = (results[1] > 0 && results[2] == -EEXIST) ||
				   (results[2] > 0 && results[1] == -EEXIST);

		state->winners = 0;
		return right;
	});
	held.reap();
	EXPECT_EQ(0, wrong);
	TH_LOG("%d rounds, in %d of them at the same time", rounds(), race.together());
}

/*
 * Callers in two namespaces, one of which loses its init, ask for the same PID
 * further out: it is never left in use, and never two have it.
 */
TEST_F_TIMEOUT(race, row12_dying_namespace, 3600)
{
	const pid_t host = self->hosts[0];
	int claims = 0;

	for (int round = 0; round < rounds_with_a_namespace(); round++) {
		struct State {
			std::atomic<int> inside = 0, beside = 0, holders = 0, twice = 0;
			std::atomic<bool> stop = false;
		};
		const Shared<State> state;
		NsChain dying(1);

		ASSERT_ERRNO(0, dying.error());
		/* Returns what ended it. EEXIST is for the other one's PID. */
		auto claim = [&](const Fd &ns, std::atomic<int> &calls) {
			const ChildrenIn scope(ns);
			Zombie zombie;
			long pid;

			do {
				pid = zombie.create({ free_a, host });
				if (pid > 0) {
					state->twice += ++state->holders != 1;
					sched_yield();
					--state->holders;
				}
				zombie.reap();
				++calls;
			} while ((pid > 0 || pid == -EEXIST) && !state->stop);
			return pid < 0 && pid != -EEXIST ? -pid : 0;
		};
		Spawned inside = run_in_child([&] { return claim(dying.ns(1), state->inside); });
		Spawned beside =
			run_in_child([&] { return claim(self->chain->ns(1), state->beside); });

		ASSERT_ERRNO(0, inside.error);
		ASSERT_ERRNO(0, beside.error);
		EXPECT_TRUE(wait_until([&] { return state->inside > 1 && state->beside > 1; }));
		dying.init(1).kill();
		EXPECT_ERRNO(ENOMEM, wait_or_kill(inside.child).code);
		const bool ended = exits_within(dying.init(1), limit_ms);
		EXPECT_TRUE(ended);
		/* Not to wait for one that never ends. */
		if (!ended)
			dying.init(1).release();
		state->stop = true;
		EXPECT_EQ(0, wait_or_kill(beside.child).code);
		EXPECT_EQ(0, state->twice.load());
		EXPECT_ERRNO(0, Request{}.pids({ host }).attempt());
		claims += state->inside + state->beside;
	}
	TH_LOG("%d namespaces, %d claims", rounds_with_a_namespace(), claims);
}

/*
 * Somebody enters the namespace as soon as it can be entered: its first process
 * has PID 1 then, whoever is faster.
 */
TEST_F_TIMEOUT(race, row09_namespace_whose_first_process_is_being_made, 3600)
{
	const pid_t host = self->hosts[0];
	int waited = 0;

	for (int round = 0; round < rounds_with_a_namespace(); round++) {
		struct State {
			std::atomic<bool> ready = false, go = false, stop = false;
			std::atomic<pid_t> first = 0;
		};
		const Shared<State> state;
		Spawned creator = run_in_child([&] {
			if (unshare(CLONE_NEWPID))
				return errno;
			state->ready = true;
			while (!state->go)
				sched_yield();
			Spawned init =
				Request{}.pids(round % 2 ? Pids{ 1, host } : Pids{}).sleeping();
			state->first = init.error ? -init.error : nspids(init.child)[0];
			while (!state->stop)
				sched_yield();
			return 0;
		});
		const std::string path =
			"/proc/" + std::to_string(creator.child.pid()) + "/ns/pid_for_children";

		ASSERT_TRUE(wait_until([&] { return state->ready.load(); }));
		state->go = true;
		Fd ns;
		EXPECT_TRUE(wait_until([&] {
			ns = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
			waited += !ns.valid();
			return ns.valid();
		}));
		{
			const ChildrenIn scope(ns);

			ASSERT_ERRNO(0, scope.error());
			int error;
			/* Refused until there is an init. */
			EXPECT_TRUE(wait_until([&] {
				error = Request{}.pids({ free_a }).attempt();
				waited += error == EINVAL;
				return error != EINVAL;
			}));
			EXPECT_ERRNO(0, error);
			EXPECT_ERRNO(EEXIST, Request{}.pids({ 1 }).attempt());
			Spawned any = run_in_child([] { return 0; });
			ASSERT_ERRNO(0, any.error);
			EXPECT_EQ(2, nspids(any.child)[0]);
			if (round % 2) {
				EXPECT_ERRNO(EEXIST, Request{}.pids({ free_a, host }).attempt());
			}
		}
		state->stop = true;
		EXPECT_EQ(0, creator.child.wait().code);
		EXPECT_EQ(1, state->first.load());
	}
	TH_LOG("%d namespaces, %d attempts that were too early", rounds_with_a_namespace(), waited);
}

/*
 * A namespace without an init, and three who create its first process at the same
 * time: one gets PID 1. Until that is there the others get none.
 */
TEST_F_TIMEOUT(race, row27_one_of_several_creates_the_init, 3600)
{
	using Claims = std::vector<Entrant::Claim>;
	const std::vector<Claims> kinds = {
		{ {}, {}, {} },
		{ { { 1 } }, { { 1 } }, { { 1 } } },
		{ {}, { { 1 } }, {} },
		{ { {}, true }, {}, { { 1 } } },
		{ { { 1 }, true }, {}, {} },
	};
	const int count = 3;
	const Shared<Barrier> unshared;
	const Fd creator = own_pidfd(), own(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
	std::vector<std::shared_ptr<Entrant>> entrants;
	int later = 0, refused = 0, shown = 0;
	Race race;

	for (int i = 0; i < count; i++) {
		auto entrant = std::make_shared<Entrant>();

		entrants.push_back(entrant);
		race.add(
			[&, i, entrant](int round) {
				return entrant->create(kinds[round % kinds.size()][i]);
			},
			[&, entrant](int) {
				entrant->end();
				return setns(own.get(), CLONE_NEWPID);
			},
			[&, i](int) {
				if (!i && unshare(CLONE_NEWPID))
					abort();
				unshared->meet(count);
				if (i && setns(children_ns(creator).get(), CLONE_NEWPID))
					abort();
				return 0;
			});
	}
	int round = 0;
	const int wrong = race.run(rounds(), [&](const Race::Results &results) {
		const int kind = round++ % kinds.size();
		const bool right = one_init(kinds[kind], results, entrants);

		for (long result : results) {
			later += result > 1;
			refused += result == -EINVAL;
		}
		if (!right && shown++ < 3) {
			TH_LOG("kind %d: %ld %ld %ld", kind, results[0], results[1], results[2]);
		}
		return right;
	});
	EXPECT_EQ(0, wrong);
	TH_LOG("%d rounds, in %d of them at the same time; %d processes behind the init, %d too early",
	       rounds(), race.together(), later, refused);
}

TEST_HARNESS_MAIN
