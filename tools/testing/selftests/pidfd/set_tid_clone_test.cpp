// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid in company: threads, the other flags, setns(), 32-bit
 * callers, and those who do not use set_tid at all.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/cgroup.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/stack.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/thread.hpp"
#include "set_tid_lib/zombie.hpp"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

namespace need
{
/* CLONE_AUTOREAP, and the flags that came with it. */
const char *autoreap()
{
	return Request{}.flags(CLONE_AUTOREAP).exit_signal(0).attempt() == EINVAL ?
		       "needs CLONE_AUTOREAP (Linux 7.1)" :
		       nullptr;
}
} // namespace need

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/*
 * Starts a thread with a TID chosen at every level and returns those that it
 * has got. (The creator looks, since the thread shares its errno and stdio.)
 */
Pids tids_of_new_thread(const Pids &tids)
{
	std::atomic<bool> stop = false;
	StartedThread t = Request{}.thread().pids(tids).start([&] {
		while (!stop)
			syscall(__NR_sched_yield);
		return 0;
	});
	Pids seen = nspids("/proc/self/task/" + std::to_string(tids.back()) + "/status");

	stop = true;
	t.thread.join();
	return seen;
}

} // namespace

TEST_REQUIRES(row21_thread_gets_the_tid, need::root)
{
	const pid_t tid = find_free_pid();

	EXPECT_PIDS(Pids{ tid }, tids_of_new_thread({ tid }));
	EXPECT_ERRNO(EEXIST, Request{}.thread().pids({ getpid() }).attempt());
	EXPECT_ERRNO(EINVAL, Request{}.thread().pids({ 0 }).attempt());
}

TEST_REQUIRES(row21_thread_gets_a_tid_at_every_level, need::root)
{
	const pid_t host = find_free_pid(), host_taken = getpid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		const Pids all = { free_a, free_b, host };

		EXPECT_PIDS(all, tids_of_new_thread(all));
		EXPECT_ERRNO(EEXIST,
			     Request{}.thread().pids({ free_a, free_b, host_taken }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row21_tid_may_be_lower_than_the_leaders, need::root)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(1));
	Spawned leader = Request{}.pids({ free_c }).spawn(checks(_metadata, [&](auto *_metadata) {
		ASSERT_EQ(free_c, getpid());
		pid_t seen = 0;
		StartedThread t = Request{}.thread().pids({ free_a }).start([&] {
			seen = gettid();
			return 0;
		});

		ASSERT_ERRNO(0, t.error);
		EXPECT_EQ(free_a, t.thread.tid());
		t.thread.join();
		EXPECT_EQ(free_a, seen);
	}));

	EXPECT_CHECKS_PASS(leader);
}

/* The leader of the process is a zombie, a thread is left. */
TEST_REQUIRES(row21_leader_may_be_gone, need::root)
{
	struct Seen {
		std::atomic<bool> leaving = false;
		int error = -1;
		pid_t tid = 0;
	};
	const pid_t tid = find_free_pid();
	const Shared<Seen> seen;
	Spawned process = run_in_child([&] {
		StartedThread left = Request{}.thread().start([&] {
			while (!seen->leaving || state_in("/proc/self/stat") != 'Z')
				sched_yield();
			StartedThread t = Request{}.thread().pids({ tid }).start([&] {
				seen->tid = gettid();
				return 0;
			});
			seen->error = t.error;
			t.thread.join();
			_exit(0);
			return 0;
		});

		seen->leaving = true;
		syscall(__NR_exit, 0);
		return 0;
	});

	EXPECT_EQ(0, process.child.wait().code);
	EXPECT_ERRNO(0, seen->error);
	EXPECT_EQ(tid, seen->tid);
}

TEST_REQUIRES(row22_clone_parent, need::root)
{
	const pid_t pid = find_free_pid(), self = getpid();
	Spawned creator = run_in_child([&] {
		Spawned sibling = Request{}.sibling().pids({ pid }).spawn(
			[&] { return getppid() == self ? 42 : 1; });

		sibling.child.release();
		return sibling.error;
	});

	ASSERT_EQ(0, creator.child.wait().code);
	EXPECT_EQ(42, Child(pid).wait().code);
}

TEST_REQUIRES(row22_clone_vfork_and_vm, need::root)
{
	pid_t seen = 0;

	for (uint64_t flags : { CLONE_VM, CLONE_VFORK, CLONE_VM | CLONE_VFORK }) {
		const pid_t pid = find_free_pid();
		Spawned c = Request{}.flags(flags).pids({ pid }).spawn([&] {
			seen = getpid();
			return 7;
		});

		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(pid, c.child.pid());
		EXPECT_EQ(7, c.child.wait().code);
		if (flags & CLONE_VM) {
			EXPECT_EQ(pid, seen);
		}
	}
}

TEST_REQUIRES(row22_clone_pidfd, need::root)
{
	const pid_t pid = find_free_pid();
	Request request;
	int pidfd = -1;

	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	Spawned c = request.pids({ pid }).sleeping();
	ASSERT_ERRNO(0, c.error);
	const Fd made(pidfd);
	EXPECT_PIDS(nspids(c.child), nspids(made));
	EXPECT_EQ(pid, nspids(c.child)[0]);

	/* The inode number of a pidfd identifies the process. */
	struct stat one = {}, same = {}, other = {};
	Spawned second = Request{}.sleeping();
	ASSERT_ERRNO(0, second.error);
	ASSERT_EQ(0, fstat(made.get(), &one));
	ASSERT_EQ(0, fstat(c.child.pidfd().get(), &same));
	ASSERT_EQ(0, fstat(second.child.pidfd().get(), &other));
	EXPECT_EQ(one.st_ino, same.st_ino);
	EXPECT_NE(one.st_ino, other.st_ino);
}

TEST_REQUIRES(row22_clone_settid_and_cleartid, need::root)
{
	const pid_t pid = find_free_pid();
	const Shared<pid_t> in_parent, in_child;
	Request request;

	request.flags(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID);
	request.raw().parent_tid = reinterpret_cast<uintptr_t>(&*in_parent);
	request.raw().child_tid = reinterpret_cast<uintptr_t>(&*in_child);
	EXPECT_ERRNO(0, request.pids({ pid }).attempt());
	EXPECT_EQ(pid, *in_parent);
	EXPECT_EQ(pid, *in_child);
}

TEST_REQUIRES(row22_clone_into_cgroup, need::root, need::cgroup)
{
	const pid_t pid = find_free_pid();
	const Cgroup cgroup;

	Spawned c = Request{}.into_cgroup(cgroup.dir()).pids({ pid }).sleeping();
	EXPECT_ERRNO(0, c.error);
	EXPECT_TEXT(std::to_string(pid) + "\n", cgroup.get("cgroup.procs"));
}

TEST_REQUIRES(row22_clone_clear_sighand, need::root)
{
	const pid_t pid = find_free_pid();

	signal(SIGUSR1, [](int) {});
	Spawned c = Request{}.flags(CLONE_CLEAR_SIGHAND).pids({ pid }).spawn([] {
		struct sigaction action;

		return sigaction(SIGUSR1, nullptr, &action) || action.sa_handler != SIG_DFL;
	});
	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(pid, c.child.pid());
	EXPECT_EQ(0, c.child.wait().code);
}

TEST_REQUIRES(row22_clone_autoreap, need::root, need::autoreap)
{
	const pid_t pid = find_free_pid();
	const Request request = Request{}.flags(CLONE_AUTOREAP).exit_signal(0).pids({ pid });
	Spawned c = request.sleeping();

	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(pid, c.child.pid());
	EXPECT_ERRNO(EEXIST, request.attempt());
	/* Nobody waits for it, and yet no zombie keeps its PID. */
	EXPECT_ERRNO(0, c.child.kill());
	EXPECT_TRUE(wait_until([&] { return !request.attempt(); }));
}

TEST_REQUIRES(row22_clone_pidfd_autokill, need::root, need::autoreap)
{
	const pid_t pid = find_free_pid();
	Request request = Request{}.flags(CLONE_AUTOREAP).exit_signal(0).pids({ pid });
	Request killed = request;
	int pidfd = -1;

	killed.flags(CLONE_PIDFD | CLONE_PIDFD_AUTOKILL);
	killed.raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	Spawned c = killed.sleeping();
	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(pid, c.child.pid());
	EXPECT_ERRNO(EEXIST, request.attempt());
	EXPECT_EQ(0, close(pidfd));
	EXPECT_TRUE(wait_until([&] { return !request.attempt(); }));
}

TEST_REQUIRES(row22_clone_nnp, need::root, need::autoreap)
{
	const pid_t pid = find_free_pid();
	Spawned c = Request{}.flags(CLONE_NNP).pids({ pid }).spawn(
		[] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); });

	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(pid, c.child.pid());
	EXPECT_EQ(1, c.child.wait().code);
}

TEST_REQUIRES(row22_clone_empty_mntns, need::root, need::autoreap)
{
	const pid_t pid = find_free_pid();
	Spawned c = Request{}.flags(CLONE_EMPTY_MNTNS).pids({ pid }).spawn([] {
		return access("/proc/self", F_OK) ? 0 : 1;
	});

	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(pid, c.child.pid());
	EXPECT_EQ(0, c.child.wait().code);
}

TEST_REQUIRES(row22_new_user_and_pid_namespace_without_privilege, need::root, need::user_ns)
{
	const pid_t outer = find_free_pid();
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		Request request = Request{}.flags(CLONE_NEWUSER | CLONE_NEWPID);

		ASSERT_ERRNO(0, become_user());
		Spawned init = request.pids({ 1 }).spawn(getpid);
		ASSERT_ERRNO(0, init.error);
		EXPECT_EQ(1, init.child.wait().code);
		EXPECT_ERRNO(EPERM, request.pids({ 1, outer }).attempt());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row23_first_process_is_pid_1, need::root)
{
	Request request = Request{}.flags(CLONE_NEWPID);

	for (const Pids &pids : { Pids{}, Pids{ 1 }, Pids{ 1, find_free_pid() } }) {
		Spawned init = request.pids(pids).spawn(getpid);

		ASSERT_ERRNO(0, init.error);
		EXPECT_EQ(1, init.child.wait().code);
	}
	EXPECT_ERRNO(EINVAL, request.pids({ 2 }).attempt());
	EXPECT_ERRNO(EINVAL, request.pids({ 2, find_free_pid() }).attempt());
}

TEST_REQUIRES(row24_levels_count_from_where_setns_went, need::root)
{
	const pid_t host = find_free_pid();
	const Pids all = { free_a, free_b, free_c, host };
	NsChain chain(3);

	ASSERT_ERRNO(0, chain.error());
	for (int level = 3; level >= 1; level--) {
		const ChildrenIn scope(chain.ns(level));
		const Pids pids(all.begin() + 3 - level, all.end());
		Spawned c = Request{}.pids(pids).sleeping();

		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(host, c.child.pid());
		EXPECT_PIDS(pids, nspids(c.child));
	}
}

#ifdef __x86_64__
namespace
{
/* The system call as a 32-bit program makes it. All addresses fit. */
long sys_clone3_compat(const clone_args *args, size_t size)
{
	long ret = __NR_clone3;

	asm volatile("int $0x80"
		     : "+a"(ret)
		     : "b"(args), "c"(size)
		     : "r8", "r9", "r10", "r11", "memory");
	return static_cast<int>(ret);
}

sigjmp_buf no_compat;

bool compat_works()
{
	struct sigaction old, action = {};
	volatile bool works = false;

	action.sa_handler = [](int) { siglongjmp(no_compat, 1); };
	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(no_compat, 1))
		works = sys_clone3_compat(nullptr, 0) == -EINVAL;
	sigaction(SIGSEGV, &old, nullptr);
	return works;
}

struct Low {
	clone_args args;
	pid_t pids[34];
};

int attempt_compat(const clone_args *args, size_t size)
{
	const long pid = sys_clone3_compat(args, size);

	if (!pid)
		_exit(0);
	if (pid < 0)
		return -pid;
	waitpid(pid, nullptr, 0);
	return 0;
}
} // namespace

namespace need
{
static const char *ia32_emulation()
{
	return compat_works() ? nullptr : "needs CONFIG_IA32_EMULATION";
}
} // namespace need

TEST_REQUIRES(row25_32_bit_callers, need::root, need::ia32_emulation)
{
	Low *low = static_cast<Low *>(mmap(nullptr, sizeof(Low), PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));

	ASSERT_NE(MAP_FAILED, static_cast<void *>(low));
	clone_args &args = low->args;

	args.exit_signal = SIGCHLD;
	args.set_tid = reinterpret_cast<uintptr_t>(low->pids);
	args.set_tid_size = 1;
	low->pids[0] = find_free_pid();
	const long pid = sys_clone3_compat(&args, sizeof(args));
	if (!pid)
		_exit(42);
	ASSERT_EQ(low->pids[0], pid);
	EXPECT_EQ(42, Child(pid).wait().code);

	EXPECT_ERRNO(0, attempt_compat(&args, CLONE_ARGS_SIZE_VER1));
	low->pids[0] = getpid();
	EXPECT_ERRNO(EEXIST, attempt_compat(&args, sizeof(args)));
	low->pids[0] = 0;
	EXPECT_ERRNO(EINVAL, attempt_compat(&args, sizeof(args)));
	for (uint64_t size : { 34ULL, (1ULL << 32) + 1 }) {
		args.set_tid_size = size;
		EXPECT_ERRNO(EINVAL, attempt_compat(&args, sizeof(args)));
	}
	args.set_tid_size = 32;
	args.set_tid = 0xffffffff;
	EXPECT_ERRNO(EFAULT, attempt_compat(&args, sizeof(args)));
	munmap(low, sizeof(Low));
}
#endif /* __x86_64__ */

namespace need
{
static const char *kernel_64_bit()
{
	utsname machine = {};

	uname(&machine);
	return sizeof(void *) == 4 && !strstr(machine.machine, "64") ? "needs a 64-bit kernel" :
								       nullptr;
}
} // namespace need

/*
 * The address of the array has 64 bits in the structure, however wide the
 * caller's own addresses are. All of them count.
 */
TEST_REQUIRES(row25_all_64_bits_of_the_address_count, need::root, need::kernel_64_bit)
{
	constexpr uint64_t above = 1ULL << 32;
	auto map = [](uint64_t at) {
		return static_cast<pid_t *>(
			mmap(reinterpret_cast<void *>(static_cast<uintptr_t>(at)), sizeof(pid_t),
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	};
	const uint64_t address = 0x20000000;
	pid_t *const low = map(address);
	Request request;
	clone_args &args = request.raw();

	ASSERT_EQ(address, reinterpret_cast<uintptr_t>(low));
	args.set_tid_size = 1;
	args.set_tid = address;
	*low = find_free_pid();
	{
		Spawned c = request.sleeping();

		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(*low, c.child.pid());
	}
	for (uint64_t garbage : { above, above << 31, -above }) {
		args.set_tid = address | garbage;
		EXPECT_ERRNO(EFAULT, request.attempt())
		TH_LOG("address %#llx", (unsigned long long)args.set_tid);
	}
#ifdef __LP64__
	pid_t *const high = map(address + above);

	ASSERT_EQ(address + above, reinterpret_cast<uintptr_t>(high));
	*high = find_free_pid();
	ASSERT_NE(*low, *high);
	args.set_tid = address + above;
	Spawned c = request.sleeping();
	ASSERT_ERRNO(0, c.error);
	EXPECT_EQ(*high, c.child.pid());
	munmap(high, sizeof(*high));
#endif
	munmap(low, sizeof(*low));
}

TEST_REQUIRES(row26_plain_creation_is_sequential, need::root, need::ns_last_pid)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		const pid_t first = next_automatic_pid();
		const pid_t forked = fork();

		if (!forked)
			_exit(0);
		EXPECT_EQ(first + 1, forked);
		waitpid(forked, nullptr, 0);

		const Stack stack;
		void *top = reinterpret_cast<void *>(stack.base() + Stack::size);
		const pid_t cloned = clone([](void *) { return 0; }, top, SIGCHLD, nullptr);
		EXPECT_EQ(first + 2, cloned);
		waitpid(cloned, nullptr, 0);

		StartedThread t = Request{}.thread().start([] { return 0; });
		ASSERT_ERRNO(0, t.error);
		EXPECT_EQ(first + 3, t.thread.tid());
		EXPECT_EQ(first + 3, last_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row26_ns_last_pid_leads_the_sequence, need::root, need::ns_last_pid)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(0, set_last_pid(free_a - 1));
		EXPECT_EQ(free_a, next_automatic_pid());

		/* Past the end it starts again, but not with the lowest PIDs. */
		EXPECT_ERRNO(0, set_last_pid(pid_max() - 2));
		EXPECT_EQ(pid_max() - 1, next_automatic_pid());
		EXPECT_EQ(300, next_automatic_pid());
		EXPECT_ERRNO(0, set_last_pid(pid_max() - 1));
		EXPECT_EQ(300, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row26_sequence_that_is_past_a_lowered_pid_max_starts_again, need::root,
	      need::ns_last_pid)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		EXPECT_ERRNO(0, set_last_pid(19999));
		Spawned far = Request{}.sleeping();
		ASSERT_ERRNO(0, far.error);
		EXPECT_EQ(20000, far.child.pid());
		EXPECT_ERRNO(0, limit.set(10000));
		EXPECT_EQ(300, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

/* It may be far behind PIDs that are in use: the kernel's tree has a node for each 64. */
TEST_REQUIRES(row26_next_free_pid_behind_those_in_use, need::root, need::ns_last_pid)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		std::vector<Zombie> zombies(200);
		pid_t next = 1000;

		EXPECT_ERRNO(0, set_last_pid(next - 1));
		for (Zombie &zombie : zombies)
			EXPECT_EQ(next++, zombie.create({}));
		zombies[100].reap();
		EXPECT_ERRNO(0, set_last_pid(1009));
		EXPECT_EQ(1100, next_automatic_pid());
		EXPECT_EQ(1200, next_automatic_pid());
		for (Zombie &zombie : zombies)
			zombie.reap();
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_HARNESS_MAIN
