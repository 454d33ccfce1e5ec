// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: what is accepted, and what each refusal is called.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst. "order" tests show which of two
 * broken rules gives the answer.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/held_at_exit.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/thread.hpp"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace
{
constexpr uint64_t bad_pointer = ~0ULL;

/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/* A structure that asks for size PIDs at an address of any kind. */
clone_args raw_request(uint64_t set_tid, uint64_t set_tid_size)
{
	clone_args args = {};

	args.exit_signal = SIGCHLD;
	args.set_tid = set_tid;
	args.set_tid_size = set_tid_size;
	return args;
}

int attempt_raw(uint64_t set_tid, uint64_t set_tid_size, size_t size = sizeof(clone_args))
{
	const clone_args args = raw_request(set_tid, set_tid_size);

	return attempt(&args, size);
}

/* Two pages, of which only the first can be read. */
class HalfMapped {
public:
	HalfMapped()
		: page_(sysconf(_SC_PAGESIZE)),
		  base_(static_cast<char *>(mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		munmap(base_ + page_, page_);
	}
	HalfMapped(const HalfMapped &) = delete;
	~HalfMapped() { munmap(base_, page_); }
	/* The address n bytes before the end of what can be read. */
	uint64_t before_end(size_t n) const
	{
		return reinterpret_cast<uintptr_t>(base_ + page_ - n);
	}

private:
	size_t page_;
	char *base_;
};

/*
 * A process that has exited and whose PID is still that of a process group or a
 * session. The member that is left is a child of the test.
 */
struct Leaderless {
	pid_t id = 0;
	Child member;
};

/* lead() makes the group or session, follow() is what the member does first. */
Leaderless leave_behind(int (*lead)(), int (*follow)())
{
	struct Made {
		pid_t member = 0;
		std::atomic<bool> ready = false;
	};
	const Shared<Made> made;
	const Fd self = own_pidfd();
	Spawned leader = run_in_child([&] {
		lead();
		Spawned member = Request{}.sibling().spawn([&] {
			follow();
			made->ready = true;
			return sleep_beside(self.get());
		});

		made->member = member.child.pid();
		member.child.release();
		return member.error;
	});
	const pid_t id = leader.child.pid();

	if (leader.child.wait().code || !wait_until([&] { return made->ready.load(); }))
		return {};
	return { id, Child(made->member) };
}

/* A PID below 300 that is free in the caller's namespace, or 0. */
pid_t find_low_pid()
{
	for (pid_t pid = 299; pid > 1; pid--) {
		if (!pid_in_use(pid))
			return pid;
	}
	return 0;
}

} // namespace

namespace need
{
static const char *pid_300()
{
	return pid_in_use(300) ? "needs PID 300 to be free: it is the automatic one of level 0" :
				 nullptr;
}
} // namespace need

/*
 * The structure
 */

TEST(row01_structure_without_set_tid)
{
	EXPECT_ERRNO(0, Request{}.size(CLONE_ARGS_SIZE_VER0).attempt());
	EXPECT_ERRNO(0, Request{}.size(CLONE_ARGS_SIZE_VER1).attempt());
	EXPECT_ERRNO(0, Request{}.size(CLONE_ARGS_SIZE_VER2).attempt());
}

TEST(row01_fields_beyond_the_size_are_not_read)
{
	EXPECT_ERRNO(0, attempt_raw(bad_pointer, 99, CLONE_ARGS_SIZE_VER0));
}

TEST_REQUIRES(row02_both_later_structures_choose_the_pid, need::root)
{
	for (size_t size : { CLONE_ARGS_SIZE_VER1, CLONE_ARGS_SIZE_VER2 }) {
		const pid_t pid = find_free_pid();
		Spawned c = Request{}.pids({ pid }).size(size).sleeping();

		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(pid, c.child.pid());
	}
}

TEST(row02_structure_that_ends_inside_set_tid)
{
	for (size_t size = CLONE_ARGS_SIZE_VER0 + 1; size < CLONE_ARGS_SIZE_VER1; size++) {
		EXPECT_ERRNO(EINVAL, attempt_raw(bad_pointer, 0, size))
		TH_LOG("size %zu", size);
	}
}

TEST(row03_structure_too_small)
{
	for (size_t size = 0; size < CLONE_ARGS_SIZE_VER0; size++) {
		EXPECT_ERRNO(EINVAL, Request{}.size(size).attempt())
		TH_LOG("size %zu", size);
	}
}

TEST(row03_structure_larger_than_known)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	std::vector<char> buffer(page + 1);
	const clone_args args = Request{}.args();

	memcpy(buffer.data(), &args, sizeof(args));
	EXPECT_ERRNO(0, attempt(buffer.data(), page));
	EXPECT_ERRNO(E2BIG, attempt(buffer.data(), page + 1));

	buffer[page - 1] = 1;
	EXPECT_ERRNO(E2BIG, attempt(buffer.data(), page));
}

TEST(row03_structure_that_cannot_be_read)
{
	const HalfMapped memory;
	const clone_args args = Request{}.args();

	for (size_t readable = 0; readable < sizeof(args); readable += 8) {
		const auto start = static_cast<uintptr_t>(memory.before_end(readable));
		void *const cut = reinterpret_cast<void *>(start);

		memcpy(cut, &args, readable);
		EXPECT_ERRNO(EFAULT, attempt(cut, sizeof(args)))
		TH_LOG("%zu bytes can be read", readable);
	}
}

/*
 * The two fields and the array
 */

TEST(row04_pointer_without_size)
{
	const pid_t pid = free_a;

	EXPECT_ERRNO(EINVAL, attempt_raw(reinterpret_cast<uintptr_t>(&pid), 0));
	/* CRIU's probe. */
	EXPECT_ERRNO(EINVAL, attempt_raw(bad_pointer, 0));
	/* All 64 bits count. */
	EXPECT_ERRNO(EINVAL, attempt_raw(1ULL << 32, 0));
}

TEST(row04_size_without_pointer)
{
	EXPECT_ERRNO(EINVAL, attempt_raw(0, 1));
	EXPECT_ERRNO(EINVAL, attempt_raw(0, 33));
}

TEST(row05_more_than_33_pids)
{
	const Pids pids(64, free_a);
	const uint64_t array = reinterpret_cast<uintptr_t>(pids.data());

	for (uint64_t size : { 34ULL, 64ULL, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 62, ~0ULL }) {
		EXPECT_ERRNO(EINVAL, attempt_raw(array, size));
		/* The array is not touched: it is not even there. */
		EXPECT_ERRNO(EINVAL, attempt_raw(bad_pointer, size));
	}
}

TEST(row05_33_pids_are_a_possible_size)
{
	EXPECT_ERRNO(EFAULT, attempt_raw(bad_pointer, 33));
}

TEST(row06_array_unmapped)
{
	const HalfMapped memory;

	EXPECT_ERRNO(EFAULT, attempt_raw(memory.before_end(0), 1));
	EXPECT_ERRNO(EFAULT, attempt_raw(bad_pointer, 1));
	EXPECT_ERRNO(EFAULT, attempt_raw(1ULL << 63, 1));
}

TEST(row06_array_crosses_into_an_unmapped_page)
{
	const HalfMapped memory;

	for (size_t readable = 1; readable < 2 * sizeof(pid_t); readable++) {
		EXPECT_ERRNO(EFAULT, attempt_raw(memory.before_end(readable), 2))
		TH_LOG("%zu bytes can be read", readable);
	}
}

TEST_REQUIRES(row06_array_up_to_the_last_byte_of_a_page, need::root)
{
	const HalfMapped memory;
	const pid_t pid = find_free_pid();

	memcpy(reinterpret_cast<void *>(memory.before_end(sizeof(pid))), &pid, sizeof(pid));
	EXPECT_ERRNO(0, attempt_raw(memory.before_end(sizeof(pid)), 1));
}

TEST_REQUIRES(row06_array_need_not_be_aligned, need::root)
{
	char bytes[sizeof(pid_t) + 1];
	const pid_t pid = find_free_pid();

	memcpy(bytes + 1, &pid, sizeof(pid));
	EXPECT_ERRNO(0, attempt_raw(reinterpret_cast<uintptr_t>(bytes + 1), 1));
}

TEST(order_exit_signal_before_array)
{
	clone_args args = raw_request(bad_pointer, 1);

	/* Older kernels refuse 65 to 255 here, too, newer ones with the flags. */
	args.exit_signal = 256;
	EXPECT_ERRNO(EINVAL, attempt(&args, sizeof(args)));
	args.exit_signal = 1ULL << 32;
	EXPECT_ERRNO(EINVAL, attempt(&args, sizeof(args)));
}

TEST(order_cgroup_before_array)
{
	clone_args args = raw_request(bad_pointer, 1);

	args.flags = CLONE_INTO_CGROUP;
	args.cgroup = 1ULL << 31;
	EXPECT_ERRNO(EINVAL, attempt(&args, sizeof(args)));
	EXPECT_ERRNO(EINVAL, attempt(&args, CLONE_ARGS_SIZE_VER1));
}

TEST(order_array_before_flags_and_stack)
{
	clone_args args = raw_request(bad_pointer, 1);

	args.flags = CLONE_DETACHED;
	EXPECT_ERRNO(EFAULT, attempt(&args, sizeof(args)));
	args.flags = 0;
	args.stack_size = 1;
	EXPECT_ERRNO(EFAULT, attempt(&args, sizeof(args)));
}

TEST_REQUIRES(order_limits_before_pids, need::root)
{
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const struct rlimit none = { 0, 0 };

		ASSERT_ERRNO(0, become_user(65533));
		ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &none));
		EXPECT_ERRNO(EAGAIN, Request{}.pids({ 0 }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(order_new_namespaces_before_pids, need::root)
{
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EPERM, Request{}.flags(CLONE_NEWPID).pids({ 0 }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The PIDs
 */

TEST_REQUIRES(row07_more_pids_than_levels, need::root, need::initial_pid_ns)
{
	const pid_t host = find_free_pid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	EXPECT_ERRNO(EINVAL, Request{}.pids({ host, host }).attempt());
	EXPECT_ERRNO(EINVAL, Request{}.flags(CLONE_NEWPID).pids({ 1, host, host }).attempt());

	const ChildrenIn scope(chain.ns(2));
	EXPECT_ERRNO(EINVAL, Request{}.pids({ free_a, free_b, host, host }).attempt());
	EXPECT_ERRNO(EINVAL, Request{}.pids(Pids(33, free_a)).attempt());
	EXPECT_ERRNO(0, Request{}.pids({ free_a, free_b, host }).attempt());
}

TEST_REQUIRES(order_number_of_pids_before_capability, need::root, need::initial_pid_ns)
{
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ free_a, free_a }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row08_pid_out_of_range_at_any_level, need::root)
{
	const pid_t host = find_free_pid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const pid_t ends[] = { static_cast<pid_t>(chain.pid_max_at(2)),
			       static_cast<pid_t>(chain.pid_max_at(1)),
			       static_cast<pid_t>(pid_max()) };
	const ChildrenIn scope(chain.ns(2));
	auto bad_at = [](pid_t end) { return Pids{ 0, -1, INT_MIN, end, end + 1, INT_MAX }; };

	for (pid_t bad : bad_at(ends[0])) {
		EXPECT_ERRNO(EINVAL, Request{}.pids({ bad }).attempt());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ bad, free_b, host }).attempt());
	}
	for (pid_t bad : bad_at(ends[1])) {
		EXPECT_ERRNO(EINVAL, Request{}.pids({ free_a, bad, host }).attempt());
	}
	for (pid_t bad : bad_at(ends[2])) {
		EXPECT_ERRNO(EINVAL, Request{}.pids({ free_a, free_b, bad }).attempt());
	}
}

TEST_REQUIRES(row08_last_pid_in_range, need::root)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const pid_t last = chain.pid_max_at(1) - 1;
	const ChildrenIn scope(chain.ns(1));
	Spawned c = Request{}.pids({ last }).sleeping();
	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(last, nspids(c.child)[0]);
}

TEST_REQUIRES(row08_lowered_pid_max, need::root)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_at(1, checks(_metadata, [&](auto *_metadata) {
					    Sysctl limit("kernel/pid_max");

					    EXPECT_ERRNO(0, Request{}.pids({ 900 }).attempt());
					    EXPECT_ERRNO(0, limit.set(900));
					    EXPECT_ERRNO(EINVAL, Request{}.pids({ 900 }).attempt());
					    EXPECT_ERRNO(0, Request{}.pids({ 899 }).attempt());
				    }));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row08_each_namespace_has_its_own_pid_max, need::root, need::own_pid_max)
{
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	Spawned task =
		chain.run_at(1, checks(_metadata, [&](auto *_metadata) {
				     const ChildrenIn scope(chain.ns(2));
				     Sysctl limit("kernel/pid_max");

				     EXPECT_ERRNO(0, limit.set(900));
				     EXPECT_ERRNO(0, Request{}.pids({ 900, 899 }).attempt());
				     EXPECT_ERRNO(EINVAL, Request{}.pids({ 899, 900 }).attempt());
				     /* The automatic PIDs of level 2 do not end where those of level 1 do. */
				     Spawned inner = chain.run_at(2, [] {
					     return set_last_pid(950) ||
						    next_automatic_pid() != 951;
				     });
				     EXPECT_EQ(0, inner.child.wait().code);
			     }));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row09_namespace_without_init_takes_only_its_init, need::root)
{
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const pid_t outer = find_free_pid();

		ASSERT_EQ(0, unshare(CLONE_NEWPID));
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).attempt());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 2, outer }).attempt());

		Spawned init = Request{}.pids({ 1, outer }).sleeping();
		ASSERT_ERRNO(0, init.error);
		EXPECT_EQ(outer, init.child.pid());
		EXPECT_ERRNO(0, Request{}.pids({ 2 }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row10_neither_capability, need::root)
{
	const pid_t pid = find_free_pid();
	Spawned user = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EPERM, Request{}.pids({ pid }).attempt());
	}));
	Spawned root = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, drop_capabilities({ CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE }));
		EXPECT_ERRNO(EPERM, Request{}.pids({ pid }).attempt());
	}));

	EXPECT_CHECKS_PASS(user);
	EXPECT_CHECKS_PASS(root);
}

TEST_REQUIRES(row10_either_capability_is_enough, need::root)
{
	for (int cap : { CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE }) {
		const pid_t pid = find_free_pid();
		Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
			ASSERT_ERRNO(0, keep_capabilities({ cap }));
			EXPECT_ERRNO(0, Request{}.pids({ pid }).attempt());
		}));

		EXPECT_CHECKS_PASS(task);
	}
}

TEST_REQUIRES(row10_every_level_asks_its_own_owner, need::root, need::user_ns)
{
	constexpr int depth = 3;
	const Pids all = { free_a, free_b, free_c, find_free_pid() };
	NsChain chain;

	for (int level = 1; level <= depth; level++)
		ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));

	/* The root of the user namespace that owns a level, and of none. */
	for (int owned = 0; owned <= depth; owned++) {
		Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
			if (owned) {
				ASSERT_EQ(0, setns(chain.ns(owned).get(), CLONE_NEWUSER));
			}
			for (int size = 1; size <= depth + 1; size++) {
				const bool allowed = depth - (size - 1) >= owned;

				EXPECT_ERRNO(allowed ? 0 : EPERM,
					     Request{}
						     .pids({ all.begin(), all.begin() + size })
						     .attempt())
				TH_LOG("%d PIDs, root of level %d's owner", size, owned);
			}
		}));

		EXPECT_CHECKS_PASS(task);
	}
}

TEST_REQUIRES(order_range_and_init_before_capability, need::root)
{
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_EQ(0, unshare(CLONE_NEWPID));
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 0 }).attempt());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).attempt());
		EXPECT_ERRNO(EPERM, Request{}.pids({ 1 }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(order_all_checks_before_any_claim, need::root, need::user_ns)
{
	const pid_t host = find_free_pid();
	NsChain chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(EINVAL, Request{}.pids({ getpid(), -1 }).attempt());
		ASSERT_EQ(0, setns(chain.ns(1).get(), CLONE_NEWUSER));
		EXPECT_ERRNO(EPERM, Request{}.pids({ getpid(), host }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(order_inner_level_answers_first, need::root, need::user_ns)
{
	const pid_t host = find_free_pid();
	NsChain chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		ASSERT_EQ(0, setns(chain.ns(1).get(), CLONE_NEWUSER));
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 0, host }).attempt());
		EXPECT_ERRNO(EINVAL, Request{}.pids({ free_a, 0 }).attempt());
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EPERM, Request{}.pids({ free_a, 0 }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The claim
 */

TEST_REQUIRES(row11_pid_of_a_process, need::root)
{
	Spawned c = Request{}.sleeping();

	ASSERT_ERRNO(0, c.error);
	const pid_t pid = c.child.pid();
	EXPECT_ERRNO(EEXIST, Request{}.pids({ pid }).attempt());
	c.child.end();
	EXPECT_ERRNO(0, Request{}.pids({ pid }).attempt());
}

TEST_REQUIRES(row11_pid_of_a_thread, need::root)
{
	std::atomic<bool> stop = false;
	StartedThread t = Request{}.thread().start([&] {
		while (!stop)
			syscall(__NR_sched_yield);
		return 0;
	});

	ASSERT_ERRNO(0, t.error);
	const pid_t tid = t.thread.tid();
	EXPECT_ERRNO(EEXIST, Request{}.pids({ tid }).attempt());
	stop = true;
	t.thread.join();
}

/*
 * The thread that ends forgets what /proc had of it, and frees its PID after that: for this
 * time it can no longer be found, and its PID is in use.
 */
TEST_REQUIRES(row11_pid_of_a_thread_that_ends, need::root)
{
	const pid_t tid = find_free_pid();

	for (int round = 0; round < 100; round++) {
		std::atomic<bool> stop = false;
		StartedThread t = Request{}.thread().pids({ tid }).start([&] {
			while (!stop)
				syscall(__NR_sched_yield);
			return 0;
		});

		ASSERT_ERRNO(0, t.error);
		for (const auto &entry :
		     std::filesystem::directory_iterator("/proc/self/task/" + std::to_string(tid)))
			entry.is_directory();
		stop = true;
		ASSERT_TRUE(wait_until([&] { return !pid_in_use(tid); }));
		ASSERT_ERRNO(0, Request{}.pids({ tid }).attempt());
	}
}

TEST_REQUIRES(row11_pid_of_a_zombie, need::root)
{
	Spawned c = run_in_child([] { return 0; });

	ASSERT_ERRNO(0, c.error);
	const pid_t pid = c.child.pid();
	c.child.wait_zombie();
	EXPECT_ERRNO(EEXIST, Request{}.pids({ pid }).attempt());
	c.child.wait();
	EXPECT_ERRNO(0, Request{}.pids({ pid }).attempt());
}

TEST_REQUIRES(row11_pid_of_a_process_group_only, need::root)
{
	Leaderless group = leave_behind([] { return setpgid(0, 0); }, [] { return 0; });

	ASSERT_TRUE(group.member.valid());
	ASSERT_EQ(group.id, getpgid(group.member.pid()));
	ASSERT_NE(group.id, getsid(group.member.pid()));
	EXPECT_ERRNO(EEXIST, Request{}.pids({ group.id }).attempt());
	group.member.end();
	EXPECT_ERRNO(0, Request{}.pids({ group.id }).attempt());
}

TEST_REQUIRES(row11_pid_of_a_session_only, need::root)
{
	Leaderless session = leave_behind([] { return setsid(); }, [] { return setpgid(0, 0); });

	ASSERT_TRUE(session.member.valid());
	ASSERT_EQ(session.id, getsid(session.member.pid()));
	ASSERT_NE(session.id, getpgid(session.member.pid()));
	EXPECT_TRUE(pid_in_use(session.id));
	EXPECT_ERRNO(EEXIST, Request{}.pids({ session.id }).attempt());
	session.member.end();
	EXPECT_ERRNO(0, Request{}.pids({ session.id }).attempt());
}

TEST_REQUIRES(row11_pid_in_use_at_any_level, need::root)
{
	const pid_t host = find_free_pid(), host_taken = getpid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(2));
	EXPECT_ERRNO(EEXIST, Request{}.pids({ 1, free_b, host }).attempt());
	EXPECT_ERRNO(EEXIST, Request{}.pids({ free_a, 1, host }).attempt());
	EXPECT_ERRNO(EEXIST, Request{}.pids({ free_a, free_b, host_taken }).attempt());
	EXPECT_ERRNO(0, Request{}.pids({ free_a, free_b, host }).attempt());
}

TEST_REQUIRES(row12_target_lost_its_init, need::root)
{
	const ChildrenIn scope(dead_namespace());

	ASSERT_ERRNO(0, scope.error());
	EXPECT_ERRNO(ENOMEM, Request{}.attempt());
	EXPECT_ERRNO(ENOMEM, Request{}.pids({ 1 }).attempt());
	EXPECT_ERRNO(ENOMEM, Request{}.pids({ free_a, find_free_pid() }).attempt());
}

/* The level that comes first gives the error, whatever is wrong further out. */
TEST_REQUIRES(order_lost_init_before_a_pid_in_use_further_out, need::root)
{
	const ChildrenIn scope(dead_namespace());

	ASSERT_ERRNO(0, scope.error());
	EXPECT_ERRNO(ENOMEM, Request{}.pids({ free_a, getpid() }).attempt());
}

/* The init of the level above has ended, that of the target is held at its exit. */
TEST_REQUIRES(row12_ancestor_lost_its_init, need::root)
{
	const pid_t host = find_free_pid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const HeldAtExit inner(chain.init(2));

	ASSERT_ERRNO(0, inner.error());
	const ChildrenIn scope(chain.ns(2));
	ASSERT_ERRNO(0, chain.init(1).kill());
	ASSERT_ERRNO(0, inner.wait());

	EXPECT_ERRNO(ENOMEM, Request{}.attempt());
	EXPECT_ERRNO(ENOMEM, Request{}.pids({ free_a }).attempt());
	EXPECT_ERRNO(ENOMEM, Request{}.pids({ free_a, free_b, host }).attempt());
	/* An inner PID in use is reported first. */
	EXPECT_ERRNO(EEXIST, Request{}.pids({ 1, free_b, host }).attempt());
	EXPECT_ERRNO(EEXIST, Request{}.pids({ free_a, 1, host }).attempt());
}

TEST_REQUIRES(row13_no_automatic_pid_left, need::root, need::ns_last_pid)
{
	const pid_t host = find_low_pid();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		/*
		 * Past PID 300 the search starts again at 300. With the lowest
		 * limit there is, that is the only number.
		 */
		SKIP_IF_MISSING(limit.need(301));
		Spawned only = Request{}.pids({ 300, host }).sleeping();
		EXPECT_ERRNO(0, only.error);
		EXPECT_ERRNO(0, set_last_pid(300));
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
		EXPECT_ERRNO(0, limit.set(limit.saved()));
		EXPECT_ERRNO(0, Request{}.attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

/* From 1 to the end: there is nowhere to start again. */
TEST_REQUIRES(row13_every_pid_is_in_use, need::root, need::ns_last_pid)
{
	NsChain chain(1);
	std::vector<Child> zombies;

	ASSERT_ERRNO(0, chain.error());
	for (pid_t pid = 2; pid <= 300; pid++) {
		const ChildrenIn scope(chain.ns(1));
		Spawned c = Request{}.pids({ pid }).spawn([] { return 0; });

		ASSERT_ERRNO(0, c.error);
		zombies.push_back(std::move(c.child));
	}
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		SKIP_IF_MISSING(limit.need(301));
		EXPECT_ERRNO(0, set_last_pid(0));
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
		EXPECT_ERRNO(0, limit.set(limit.saved()));
		EXPECT_ERRNO(0, Request{}.attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

/* As above, one PID earlier: up to 300 the search starts again at 1. */
TEST_REQUIRES(row26_sequence_that_has_not_passed_300_starts_again_at_1, need::root,
	      need::ns_last_pid, need::pid_300)
{
	const pid_t host = find_low_pid();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		SKIP_IF_MISSING(limit.need(301));
		Spawned busy = Request{}.pids({ 300, host }).sleeping();
		EXPECT_ERRNO(0, busy.error);
		EXPECT_ERRNO(0, set_last_pid(299));
		Spawned low = Request{}.sleeping();
		EXPECT_ERRNO(0, limit.set(limit.saved()));
		EXPECT_ERRNO(0, low.error);
		EXPECT_GT(300, low.child.pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_HARNESS_MAIN
