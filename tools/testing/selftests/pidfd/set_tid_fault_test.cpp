// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: what a call that fails leaves behind, wherever it
 * fails. Every allocation fails once, every step after the claim does, callers
 * are killed and namespaces die in the middle of it.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "../kselftest_harness.h"
#include "set_tid.hpp"

#include <linux/userfaultfd.h>
#include <sys/resource.h>

#include <optional>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/* What must end by itself has this long, on the slowest machine. */
constexpr int limit_ms = 60000;

/*
 * Slab allocations that fail. The settings are those of the whole system, but
 * they apply to tasks that ask for it: /proc/self/fail-nth, make-it-fail.
 */
class FailSlab {
public:
	static const char *missing()
	{
		return access(dir, F_OK) || access("/proc/self/fail-nth", F_OK) ?
			       "needs CONFIG_FAILSLAB with debugfs in /sys/kernel/debug" :
			       nullptr;
	}
	FailSlab()
	{
		set("task-filter", "Y");
		set("verbose", "0");
	}
	FailSlab(const FailSlab &) = delete;
	~FailSlab()
	{
		while (!saved_.empty()) {
			write_file(path(saved_.back().first), saved_.back().second);
			saved_.pop_back();
		}
	}
	void set(const std::string &name, std::string_view value)
	{
		saved_.emplace_back(name, read_file(path(name)));
		write_file(path(name), value);
	}
	/* Those that may sleep fail as well. */
	void any_allocation() { set("ignore-gfp-wait", "N"); }
	/* Of every task that asks for it, all. */
	void all()
	{
		set("interval", "1");
		set("times", "-1");
		set("probability", "100");
	}

	static std::string path(const std::string &name) { return dir + name; }

private:
	static constexpr const char *dir = "/sys/kernel/debug/failslab/";

	std::vector<std::pair<std::string, std::string>> saved_;
};

/* A file that is written, and if it can seek read, without an allocation. */
class Knob {
public:
	explicit Knob(const std::string &path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {}

	void set(long value) const
	{
		char text[24];
		const int length = snprintf(text, sizeof(text), "%ld", value);

		if (write(fd_.get(), text, length) != length)
			abort();
	}
	long get() const
	{
		char text[24] = {};

		return pread(fd_.get(), text, sizeof(text) - 1, 0) > 0 ? atol(text) : -1;
	}

private:
	Fd fd_;
};

/* A CPU has nodes left over from earlier preloads: always the same ones. */
void stay_on_this_cpu()
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * What a call that has failed left behind. A claim that failed has moved no
 * automatic sequence; one that was made and given back may have used up one
 * number, and that at every automatic level. The next child tells, as long as
 * nobody else creates processes there. At level 0 somebody may: that is counted.
 */
class Aftermath {
public:
	explicit Aftermath(const Pids &requested) : requested_(requested) { resync(); }

	struct Found {
		std::string wrong; /* or nothing */
		bool used_up = false;
	};

	/* To be called after every call that has failed, */
	Found look()
	{
		const Pids before = last_;
		Found found;

		resync();
		if (last_.size() != before.size())
			return { "no child can be created", false };
		const size_t outermost = last_.size() - 1;
		size_t used = 0;
		for (size_t i = 0; i <= outermost; i++) {
			const int by = last_[i] - before[i] - 1;

			if (by == 1 && i >= requested_.size())
				used += i < outermost || !outermost;
			else if (by && i == outermost)
				disturbed_++;
			else if (by)
				found.wrong += text("sequence %zu moved by %d", i, by);
		}
		if (used && outermost && used != outermost - requested_.size())
			found.wrong += text("only %zu sequences have moved", used);
		found.used_up = used;
		if (found.wrong.empty())
			found.wrong = still_held();
		if (found.wrong.empty() && used && outermost)
			found.wrong = still_held(before);
		return found;
	}

	/* and this one after one that has not. */
	void resync() { last_ = create({}).second; }

	/* The sequences of the levels below 0 have been set, by so many processes. */
	void sequences_are_at(pid_t last, int processes)
	{
		std::fill(last_.begin(), last_.end() - 1, last);
		last_.back() += processes;
	}

	/* How often the sequence of level 0 was not as it should be. */
	int disturbed() const { return disturbed_; }

private:
	template <typename... Args> static std::string text(const char *format, Args... args)
	{
		char buffer[80];

		snprintf(buffer, sizeof(buffer), format, args...);
		return std::string(buffer) + "; ";
	}

	/* Of a child that has gone again. */
	static std::pair<int, Pids> create(const Pids &pids)
	{
		Spawned c = Request{}.pids(pids).spawn([] { return 0; });

		return { c.error, c.error ? Pids{} : nspids(c.child) };
	}

	/* The PIDs that were asked for; what comes with them is in sequence. */
	std::string still_held()
	{
		const auto [error, got] = create(requested_);

		if (error)
			return text("the same again: %s", errno_name(error));
		for (size_t i = 0; i < got.size(); i++) {
			const bool automatic = i >= requested_.size();

			if (i + 1 < got.size() || !automatic) {
				if (got[i] != (automatic ? last_[i] + 1 : requested_[i]))
					return "the same again has got " + to_string(got);
			}
			if (automatic)
				last_[i] = got[i];
		}
		return {};
	}

	/* Those that came from the sequences, but that of level 0. */
	std::string still_held(const Pids &before)
	{
		Pids used = requested_;

		for (size_t i = used.size(); i + 1 < before.size(); i++)
			used.push_back(before[i] + 1);
		const auto [error, got] = create(used);
		if (!error)
			last_.back() = got.back();
		return error ? text("used up, %s", errno_name(error)) : std::string();
	}

	const Pids requested_;
	Pids last_;
	int disturbed_ = 0;
};

/*
 * Makes a call whose child leaves at once, and takes care that nothing else
 * happens between arm() and disarm(). Returns the errno, or 0.
 */
template <typename Arm, typename Disarm>
int attempt_armed(const clone_args &args, Arm arm, Disarm disarm)
{
	arm();
	const long pid = sys_clone3(&args, sizeof(args));
	if (!pid)
		_exit(0);
	disarm();
	if (pid < 0)
		return -pid;
	Child(pid).wait();
	return 0;
}

/* A call for some PIDs that fails, most of them after it has claimed them. */
struct LateFailure {
	const char *what;
	int error;
	std::function<int(const Pids &)> call;
	bool claims = true;
};

int fail_at_pidfd_pointer(const Pids &pids)
{
	Request request;

	request.flags(CLONE_PIDFD).raw().pidfd = ~0ULL - 7;
	return request.pids(pids).attempt();
}

int fail_at_read_only_pidfd(const Pids &pids)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *mem = mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	Request request;

	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(mem);
	const int error = request.pids(pids).attempt();
	munmap(mem, page);
	return error;
}

int fail_without_descriptor(const Pids &pids)
{
	struct rlimit limit, none;
	Request request;
	int pidfd, error;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = { 0, limit.rlim_max };
	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	setrlimit(RLIMIT_NOFILE, &none);
	error = request.pids(pids).attempt();
	setrlimit(RLIMIT_NOFILE, &limit);
	return error;
}

int fail_without_cgroup(const Pids &pids)
{
	Request request;

	request.flags(CLONE_INTO_CGROUP).raw().cgroup = INT32_MAX;
	return request.pids(pids).attempt();
}

/* A descriptor that there is, but of something else. */
int fail_with_a_file_for_a_cgroup(const Pids &pids)
{
	const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));

	return Request{}.into_cgroup(null).pids(pids).attempt();
}

/* Looked at before a PID is. */
int fail_at_process_limit(const Pids &pids)
{
	constexpr uid_t user = 65533;
	struct rlimit limit, none;
	int error;

	getrlimit(RLIMIT_NPROC, &limit);
	none = { 0, limit.rlim_max };
	setrlimit(RLIMIT_NPROC, &none);
	if (setresuid(user, user, 0))
		return errno;
	error = Request{}.pids(pids).attempt();
	if (setresuid(0, 0, 0))
		abort();
	die_with_parent();
	setrlimit(RLIMIT_NPROC, &limit);
	return error;
}

std::vector<LateFailure> late_failures(const Cgroup &full)
{
	return {
		{ "bad pointer for the pidfd", EFAULT, fail_at_pidfd_pointer },
		{ "pointer for the pidfd that cannot be written", EFAULT, fail_at_read_only_pidfd },
		{ "no descriptor left for the pidfd", EMFILE, fail_without_descriptor },
		{ "no such cgroup", EBADF, fail_without_cgroup },
		{ "a cgroup that is none", EBADF, fail_with_a_file_for_a_cgroup },
		{ "pids cgroup is full", EAGAIN,
		  [&](const Pids &pids) {
			  return Request{}.into_cgroup(full.dir()).pids(pids).attempt();
		  } },
		{ "RLIMIT_NPROC", EAGAIN, fail_at_process_limit, false },
	};
}

/* Free PIDs for the levels from innermost out to 0, far from the automatic ones. */
Pids pids_for_levels(int innermost)
{
	Pids pids;

	for (int level = innermost; level > 0; level--)
		pids.push_back(pid_max() - 2 - level);
	pids.push_back(find_free_pid());
	return pids;
}

Fd open_ns(const Child &init)
{
	const std::string path = "/proc/" + std::to_string(init.pid()) + "/ns/pid";

	return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/* Whether each of these can be had, at levels outwards from a namespace. */
int claim_in(const Fd &ns, const Pids &pids)
{
	const ChildrenIn scope(ns);

	return scope.error() ? scope.error() : Request{}.pids(pids).attempt();
}

/*
 * A clone3() that stands between its claim and the birth of the child: it
 * stores the pidfd in a page that nobody provides (userfaultfd). The caller is
 * a process outside of the namespace that it creates the child in.
 */
class StandingCall {
public:
	static const char *missing()
	{
		const Fd fd(syscall(__NR_userfaultfd, O_CLOEXEC));

		return fd.valid() ? nullptr : "needs CONFIG_USERFAULTFD, and the right to use it";
	}

	/* Returns when the call stands, or has ended. */
	StandingCall(const Fd &target, const Pids &pids)
	{
		auto body = [&] {
			if (!offer_page() || setns(target.get(), CLONE_NEWPID)) {
				state_->result = errno;
				return 1;
			}
			Request request;

			request.flags(CLONE_PIDFD).raw().pidfd = state_->page;
			state_->result = request.pids(pids).attempt();
			return 0;
		};
		/* With the descriptors, but not the memory, of the test. */
		caller_ = std::move(Request{}.flags(CLONE_FILES).spawn(body).child);

		struct pollfd events[] = { { caller_.pidfd().get(), POLLIN, 0 }, {} };
		while (state_->uffd < 0 && !poll(events, 1, 0))
			sched_yield();
		uffd_ = Fd(state_->uffd);
		events[1] = { uffd_.get(), POLLIN, 0 };
		poll(events, 2, limit_ms);
		stands_ = events[1].revents & POLLIN;
	}

	bool stands() const { return stands_; }
	Child &caller() { return caller_; }

	/* Lets the call go on. Returns what became of it. */
	int finish()
	{
		struct uffdio_zeropage zero = {};

		zero.range.start = state_->page;
		zero.range.len = sysconf(_SC_PAGESIZE);
		ioctl(uffd_.get(), UFFDIO_ZEROPAGE, &zero);
		if (!exits_within(caller_, limit_ms))
			return ETIMEDOUT;
		caller_.wait();
		return state_->result;
	}

private:
	struct State {
		std::atomic<int> uffd = -1;
		uint64_t page = 0;
		std::atomic<int> result = -1;
	};

	bool offer_page()
	{
		const size_t size = sysconf(_SC_PAGESIZE);
		void *page = mmap(nullptr, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		const int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		struct uffdio_api api = {};
		struct uffdio_register range = {};

		api.api = UFFD_API;
		range.range.start = reinterpret_cast<uintptr_t>(page);
		range.range.len = size;
		range.mode = UFFDIO_REGISTER_MODE_MISSING;
		state_->page = range.range.start;
		if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
			return false;
		state_->uffd = fd;
		return true;
	}

	const Shared<State> state_;
	Child caller_;
	Fd uffd_;
	bool stands_ = false;
};

/* Children are created in the deepest level of a chain, if it has any. */
std::unique_ptr<ChildrenIn> enter(const NsChain &chain)
{
	return chain.depth() ? std::make_unique<ChildrenIn>(chain.deepest()) : nullptr;
}

/*
 * Has the automatic PIDs of all levels but 0 go on where an IDR has no leaf yet.
 * From the innermost level out: at the others, a process there is one more.
 */
void to_new_nodes(const NsChain &chain, std::unique_ptr<ChildrenIn> &scope, Aftermath &aftermath)
{
	constexpr pid_t leaf = 64;
	static pid_t last = 5 * leaf - 1;

	scope.reset();
	last += leaf;
	for (int level = chain.depth(); level; level--) {
		Spawned task = chain.run_at(level, [&] { return set_last_pid(last); });

		task.child.wait();
	}
	aftermath.sequences_are_at(last, chain.depth());
	scope = enter(chain);
}

/*
 * The init of a level has been killed: it comes to its end, those further in
 * do, and those further out are as good as before.
 */
void expect_end_of_levels(struct __test_metadata *_metadata, NsChain &chain,
			  const std::vector<Fd> &ns, int dying, const Pids &all)
{
	for (int level = chain.depth(); level >= dying; level--) {
		const bool ended = exits_within(chain.init(level), limit_ms);

		EXPECT_TRUE(ended) TH_LOG("the init of level %d, killed at %d", level, dying);
		/* Not to wait for one that never ends. */
		if (ended)
			chain.init(level).end();
		else
			chain.init(level).release();
	}
	const Pids outer(all.end() - dying, all.end());
	EXPECT_ERRNO(0,
		     dying > 1 ? claim_in(ns[dying - 2], outer) : Request{}.pids(outer).attempt());
}

} // namespace

/*
 * Which levels have an automatic PID: all (plain), the outer half, none.
 */
FIXTURE(allocation)
{
	NsChain *chain;
	Pids *pids;
};

FIXTURE_VARIANT(allocation)
{
	int level;
	int requested; /* at this many levels, or -1: all */
	bool new_nodes; /* the automatic PIDs of the levels below 0 need memory, too */
};

FIXTURE_VARIANT_ADD(allocation, level_0_plain){ .level = 0, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_0_full){ .level = 0, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation, level_1_plain){ .level = 1, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_1_partial){ .level = 1, .requested = 1 };
FIXTURE_VARIANT_ADD(allocation, level_1_full){ .level = 1, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation, level_4_plain){ .level = 4, .requested = 0, .new_nodes = true };
FIXTURE_VARIANT_ADD(allocation, level_4_partial){ .level = 4, .requested = 2, .new_nodes = true };
FIXTURE_VARIANT_ADD(allocation, level_4_full){ .level = 4, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation, level_32_plain){ .level = 32, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_32_partial){ .level = 32, .requested = 16 };
FIXTURE_VARIANT_ADD(allocation, level_32_full){ .level = 32, .requested = -1 };

FIXTURE_SETUP(allocation)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(FailSlab::missing());
	SKIP_IF_MISSING(missing_initial_pid_ns());
	self->chain = new NsChain(variant->level);
	ASSERT_ERRNO(0, self->chain->error());
	self->pids = new Pids(pids_for_levels(variant->level));
	if (variant->requested >= 0)
		self->pids->resize(variant->requested);
}

FIXTURE_TEARDOWN(allocation)
{
	delete self->chain;
	delete self->pids;
}

/*
 * The first process of a namespace that the caller has unshared, or that the
 * call creates as well.
 */
FIXTURE(first_process){};

FIXTURE_VARIANT(first_process)
{
	uint64_t flags;
	int requested;
};

FIXTURE_VARIANT_ADD(first_process, plain){ .flags = 0, .requested = 0 };
FIXTURE_VARIANT_ADD(first_process, pid_1){ .flags = 0, .requested = 1 };
FIXTURE_VARIANT_ADD(first_process, full){ .flags = 0, .requested = 2 };
FIXTURE_VARIANT_ADD(first_process, with_the_namespace){ .flags = CLONE_NEWPID, .requested = 2 };

FIXTURE_SETUP(first_process)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(FailSlab::missing());
}

FIXTURE_TEARDOWN(first_process)
{
}

/* Whose init dies, of a chain of three. */
FIXTURE(dying){};

FIXTURE_VARIANT(dying)
{
	int level;
};

FIXTURE_VARIANT_ADD(dying, outer){ .level = 1 };
FIXTURE_VARIANT_ADD(dying, middle){ .level = 2 };
FIXTURE_VARIANT_ADD(dying, innermost){ .level = 3 };

FIXTURE_SETUP(dying)
{
	SKIP_IF_MISSING(missing_root());
}

FIXTURE_TEARDOWN(dying)
{
}

/*
 * From the first allocation of the call to the last one: each fails once. With
 * a pidfd, so that there are some after the claim, too.
 */
TEST_F_TIMEOUT(allocation, row14_each_fails_once, 3600)
{
	int pidfd;
	Request request = Request{}.flags(CLONE_PIDFD).pids(*self->pids);

	request.raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		auto scope = enter(*self->chain);
		const Knob fail_nth("/proc/self/fail-nth");
		int failed = 0, used_up = 0, unharmed = 0, past_end = 0;
		FailSlab slab;

		stay_on_this_cpu();
		Aftermath aftermath(*self->pids);
		slab.any_allocation();
		/* Not every call makes as many: now and then a sequence needs a node. */
		for (int nth = 1; past_end < 10; nth++) {
			long left = 0;

			if (variant->new_nodes)
				to_new_nodes(*self->chain, scope, aftermath);
			const int error = attempt_armed(
				request.args(), [&] { fail_nth.set(nth); },
				[&] {
					left = fail_nth.get();
					fail_nth.set(0);
				});

			if (!error) {
				close(pidfd);
				aftermath.resync();
			}
			if (left) {
				EXPECT_ERRNO(0, error);
				past_end++;
				continue;
			}
			past_end = 0;
			if (!error) {
				/* There was a substitute for what failed. */
				unharmed++;
				continue;
			}
			const Aftermath::Found found = aftermath.look();
			EXPECT_ERRNO(ENOMEM, error) TH_LOG("allocation %d", nth);
			EXPECT_TEXT("", found.wrong) TH_LOG("allocation %d", nth);
			failed++;
			used_up += found.used_up;
		}
		TH_LOG("%d injection points: %d failures, %d of them seen to be after the claim, %d with a substitute",
		       failed + unharmed, failed, used_up, unharmed);
		EXPECT_LT(10, failed);
		/* Of that level 0 takes part in it can be told only if it is alone. */
		if (variant->requested >= 0 &&
		    (!variant->level || variant->requested < variant->level)) {
			EXPECT_LT(0, used_up);
		}
		EXPECT_GT(10, aftermath.disturbed());
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The same, but once one has failed all others do, those that a preload stands
 * in for as well.
 */
TEST_F_TIMEOUT(allocation, row14_all_fail_from_one_on, 3600)
{
	/* Nothing that a slab is asked for is larger: the rest has pages of its own. */
	constexpr long largest = 16384, step = 256;
	int pidfd;
	Request request = Request{}.flags(CLONE_PIDFD).pids(*self->pids);

	request.raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		auto scope = enter(*self->chain);
		int failed = 0, used_up = 0, unharmed = 0;
		FailSlab slab;

		stay_on_this_cpu();
		Aftermath aftermath(*self->pids);
		slab.any_allocation();
		slab.all();
		slab.set("space", "0");
		const std::string space_path = FailSlab::path("space");
		const Knob space(space_path), fail("/proc/self/make-it-fail");
		for (long bytes = 0;; bytes += step) {
			long left = 0;

			if (variant->new_nodes)
				to_new_nodes(*self->chain, scope, aftermath);
			const int error = attempt_armed(
				request.args(),
				[&] {
					space.set(bytes);
					fail.set(1);
				},
				[&] {
					fail.set(0);
					left = read_number(space_path);
				});

			if (!error) {
				close(pidfd);
				aftermath.resync();
			}
			if (left > largest) {
				EXPECT_ERRNO(0, error);
				break;
			}
			if (!error) {
				unharmed++;
				continue;
			}
			const Aftermath::Found found = aftermath.look();
			EXPECT_ERRNO(ENOMEM, error) TH_LOG("after %ld bytes", bytes);
			EXPECT_TEXT("", found.wrong) TH_LOG("after %ld bytes", bytes);
			failed++;
			used_up += found.used_up;
		}
		TH_LOG("%d injection points: %d failures, %d of them seen to be after the claim, %d with a substitute",
		       failed + unharmed, failed, used_up, unharmed);
		EXPECT_LT(10, failed);
		EXPECT_GT(10, aftermath.disturbed());
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * Nothing can be had without sleeping, and the claim needs nodes for 33 IDRs
 * under a lock: far more than one preload has.
 */
TEST(row14_memory_that_can_be_waited_for)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(FailSlab::missing());
	SKIP_IF_MISSING(missing_initial_pid_ns());
	const pid_t far = pid_max() - 2;
	NsChain chain(max_pid_ns_level);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const ChildrenIn scope(chain.deepest());
		ASSERT_ERRNO(0, scope.error());
		FailSlab slab;

		slab.set("ignore-gfp-wait", "Y");
		slab.all();
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "1"));
		EXPECT_ERRNO(0, Request{}.pids(Pids(chain.depth(), far)).attempt());
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "0"));
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The first process of a namespace, with every allocation failing once: after
 * each failure another one becomes PID 1 of the same namespace.
 */
TEST_F_TIMEOUT(first_process, row19_every_allocation_may_fail, 3600)
{
	const Pids pids = variant->requested < 2 ? Pids(variant->requested, 1) :
						   Pids{ 1, find_free_pid() };
	Request request = Request{}.pids(pids).flags(variant->flags | CLONE_PIDFD);
	const Shared<bool> over;
	int nth, pidfd;

	/* With a pidfd, so that there are some after the claim, too. */
	request.raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);

	for (nth = 1; !*over && _metadata->exit_code == KSFT_PASS; nth++) {
		Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
			const Knob fail_nth("/proc/self/fail-nth");
			long left = 0;
			int error;

			if (!variant->flags) {
				ASSERT_EQ(0, unshare(CLONE_NEWPID));
			}
			{
				FailSlab slab;

				slab.any_allocation();
				error = attempt_armed(
					request.args(), [&] { fail_nth.set(nth); },
					[&] {
						left = fail_nth.get();
						fail_nth.set(0);
					});
			}
			*over = left;
			if (!error)
				return;
			EXPECT_ERRNO(ENOMEM, error) TH_LOG("allocation %d", nth);
			Spawned init = request.spawn(getpid);
			ASSERT_ERRNO(0, init.error) TH_LOG("after allocation %d", nth);
			if (pids.size() > 1) {
				EXPECT_EQ(pids[1], init.child.pid());
			}
			EXPECT_EQ(1, init.child.wait().code);
		}));

		EXPECT_CHECKS_PASS(task);
	}
	TH_LOG("%d injection points", nth - 2);
	EXPECT_LT(10, nth - 2);
}

TEST(row18_late_failure_leaves_nothing_behind)
{
	SKIP_IF_MISSING(missing_root());
	const Pids all = { free_a, free_b, find_free_pid() };
	const Cgroup full;
	NsChain chain(2);

	SKIP_IF_MISSING(full.missing());
	EXPECT_ERRNO(0, full.set("pids.max", "0"));
	EXPECT_ERRNO(0, chain.error());
	/* Not by ASSERT, which leaves the cgroup behind. */
	if (_metadata->exit_code != KSFT_PASS)
		return;
	const ChildrenIn scope(chain.ns(2));
	for (const LateFailure &late : late_failures(full)) {
		for (size_t size = 0; size <= all.size(); size++) {
			const Pids pids(all.begin(), all.begin() + size);
			Aftermath aftermath(pids);

			EXPECT_ERRNO(late.error, late.call(pids))
			TH_LOG("%s, %zu PIDs", late.what, size);
			/* Here and now, not some time later. */
			const Aftermath::Found found = aftermath.look();
			EXPECT_TEXT("", found.wrong) TH_LOG("%s, %zu PIDs", late.what, size);
			if (!late.claims) {
				EXPECT_FALSE(found.used_up);
			}
		}
	}
}

/* The stores of the PID have never been checked, and are not now. */
TEST(row18_bad_tid_pointer_is_no_failure)
{
	SKIP_IF_MISSING(missing_root());
	for (uint64_t flag : { CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID }) {
		const pid_t pid = find_free_pid();
		Request request = Request{}.flags(flag).pids({ pid });

		request.raw().parent_tid = ~0ULL - 7;
		request.raw().child_tid = ~0ULL - 7;
		Spawned c = request.spawn([] { return 42; });
		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(pid, c.child.pid());
		EXPECT_EQ(42, c.child.wait().code);
		EXPECT_FALSE(pid_in_use(pid));
	}
}

TEST(row18_killed_caller_leaves_no_pid)
{
	SKIP_IF_MISSING(missing_root());
	const pid_t host = find_free_pid();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(1));
	for (int i = 0; i < 40; i++) {
		const Shared<std::atomic<int>> calls;
		Spawned caller = run_in_child([&] {
			for (;;) {
				++*calls;
				Request{}.pids({ free_a, host }).attempt();
			}
			return 0;
		});

		while (*calls < 2)
			sched_yield();
		caller.child.end();
		/* A child that was made is killed with it, and reaped by init. */
		while (pid_in_use(host))
			sched_yield();
		EXPECT_ERRNO(0, Request{}.pids({ free_a, host }).attempt());
	}
}

/* What is claimed is in use for everybody, at each level, before there is a task. */
TEST(row11_claim_that_stands_is_in_use_at_every_level)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(StandingCall::missing());
	const pid_t host = find_free_pid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	StandingCall call(chain.ns(2), { free_a, free_b, host });
	ASSERT_TRUE(call.stands());
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(2), { free_a }));
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(1), { free_b }));
	EXPECT_ERRNO(EEXIST, Request{}.pids({ host }).attempt());
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(2), { free_c, free_b, host }));
	EXPECT_ERRNO(0, claim_in(chain.ns(2), { free_c, free_a }));
	EXPECT_ERRNO(0, call.finish());
	EXPECT_ERRNO(0, claim_in(chain.ns(2), { free_a, free_b, host }));
}

TEST(row18_caller_killed_while_its_claim_stands)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(StandingCall::missing());
	const Pids all = { free_a, free_b, find_free_pid() };
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	for (size_t size = 0; size <= all.size(); size++) {
		const Pids pids(all.begin(), all.begin() + size);
		std::optional<Aftermath> aftermath;

		{
			const ChildrenIn scope(chain.ns(2));
			aftermath.emplace(pids);
		}
		StandingCall call(chain.ns(2), pids);
		ASSERT_TRUE(call.stands());
		call.caller().end();

		const ChildrenIn scope(chain.ns(2));
		EXPECT_TEXT("", aftermath->look().wrong) TH_LOG("%zu PIDs", size);
	}
}

/*
 * An init, of the target or of a level further out, starts to exit between a
 * claim and the birth of the child. Those further in are held at the last
 * moment at which their own namespaces do not know yet.
 */
TEST(row12_init_dies_while_a_claim_stands)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(StandingCall::missing());
	constexpr int depth = 3;
	const Pids all = { free_a, free_b, free_c, find_free_pid() };

	for (int dying = depth; dying >= 1; dying--) {
		NsChain chain(depth);
		std::vector<Fd> ns;

		ASSERT_ERRNO(0, chain.error());
		for (int level = 1; level <= depth; level++)
			ns.push_back(open_ns(chain.init(level)));
		StandingCall call(ns[depth - 1], all);
		ASSERT_TRUE(call.stands());
		std::vector<HeldAtExit> held;
		for (int level = dying + 1; level <= depth; level++)
			held.emplace_back(chain.init(level));
		chain.init(dying).kill();
		for (const HeldAtExit &inner : held)
			ASSERT_ERRNO(0, inner.wait());
		/* The init may not have got there yet. */
		while (claim_in(ns[dying - 1], { free_a - 1 }) != ENOMEM)
			sched_yield();

		EXPECT_ERRNO(ENOMEM, call.finish()) TH_LOG("level %d is dying", dying);
		held.clear();
		expect_end_of_levels(_metadata, chain, ns, dying, all);
	}
}

/* As above, at any moment: another task creates processes there all the time. */
TEST_F_TIMEOUT(dying, row12_init_dies_while_others_create_processes, 3600)
{
	constexpr int depth = 3, rounds = 8;
	const Pids all = { free_a, free_b, free_c, find_free_pid() };

	for (int round = 0; round < rounds; round++) {
		const Shared<std::atomic<int>> calls;
		NsChain chain(depth);
		std::vector<Fd> ns;

		ASSERT_ERRNO(0, chain.error());
		for (int level = 1; level <= depth; level++)
			ns.push_back(open_ns(chain.init(level)));
		Spawned others = run_in_child([&] {
			const ChildrenIn scope(ns[depth - 1]);
			const Pids pids(all.begin(), all.begin() + round % (depth + 2));
			int error;

			while (!(error = Request{}.pids(pids).attempt()))
				++*calls;
			return error;
		});
		while (*calls < 3)
			sched_yield();
		chain.init(variant->level).kill();
		EXPECT_TRUE(exits_within(others.child, limit_ms));
		EXPECT_ERRNO(ENOMEM, others.child.wait().code);
		expect_end_of_levels(_metadata, chain, ns, variant->level, all);
	}
}

/*
 * The init that dies is a thread, the leader has exited before: two PIDs are its own.
 * It has to wait for a process that somebody outside reaps, and to learn of that.
 */
TEST(row12_init_without_its_leader_waits_for_the_last_process)
{
	SKIP_IF_MISSING(missing_root());
	struct Steps {
		std::atomic<bool> leave = false, alone = false;
	};
	const Shared<Steps> steps;
	Spawned init = Request{}.flags(CLONE_NEWPID).spawn([&] {
		StartedThread left = Request{}.thread().start([&] {
			while (!steps->leave ||
			       read_file("/proc/self/stat").find(") Z ") == std::string::npos)
				sched_yield();
			steps->alone = true;
			for (;;)
				syscall(__NR_pause);
			return 0;
		});

		while (!steps->leave)
			sched_yield();
		syscall(__NR_exit, 0);
		return 0;
	});

	ASSERT_ERRNO(0, init.error);
	/* There is none to be had of a leader that has exited. */
	const Fd ns = open_ns(init.child);
	steps->leave = true;
	while (!steps->alone)
		sched_yield();

	const ChildrenIn scope(ns);
	ASSERT_ERRNO(0, scope.error());
	Spawned last = Request{}.sleeping();
	ASSERT_ERRNO(0, last.error);
	ASSERT_ERRNO(0, init.child.kill());
	last.child.wait_zombie();
	EXPECT_FALSE(exits_within(init.child, 200));
	last.child.wait();
	const bool ended = exits_within(init.child, 10000);
	EXPECT_TRUE(ended);
	if (!ended)
		init.child.release();
}

TEST(row19_first_process_may_fail_late)
{
	SKIP_IF_MISSING(missing_root());
	const pid_t host = find_free_pid();
	const Cgroup full;

	SKIP_IF_MISSING(full.missing());
	EXPECT_ERRNO(0, full.set("pids.max", "0"));
	for (const LateFailure &late : late_failures(full)) {
		for (const Pids &pids : { Pids{}, Pids{ 1 }, Pids{ 1, host } }) {
			Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
				ASSERT_EQ(0, unshare(CLONE_NEWPID));
				EXPECT_ERRNO(late.error, late.call(pids));
				EXPECT_ERRNO(late.error, late.call(pids));

				Spawned init = Request{}.pids(pids).spawn(getpid);
				ASSERT_ERRNO(0, init.error) TH_LOG("after: %s", late.what);
				EXPECT_EQ(1, init.child.wait().code);
			}));

			EXPECT_CHECKS_PASS(task);
		}
	}
}

TEST_HARNESS_MAIN
