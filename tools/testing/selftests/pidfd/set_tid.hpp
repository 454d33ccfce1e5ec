/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes with chosen PIDs, for the tests of clone3() with set_tid and for
 * the set_tid command.
 *
 * What a test says is what the kernel gets: no function below retries a call
 * or turns an errno into another one, and none adds to a request, but for
 * those that a child in the caller's memory cannot do without (a stack, and
 * for a thread CLONE_CHILD_CLEARTID). The classes only see to it that
 * descriptors are closed, children are killed and reaped, and settings are put
 * back.
 *
 * PIDs are written in the order of set_tid[], innermost namespace first.
 * Functions that can fail return 0 or an errno, unless they say otherwise.
 *
 * ASSERT_*() leaves a test by longjmp(): the destructors of that process do
 * not run. Children do not survive their creator. What must be put back in any
 * case (a sysctl) belongs to a process that does not assert before it has done
 * so: see checks().
 */
#ifndef SELFTESTS_PIDFD_SET_TID_HPP
#define SELFTESTS_PIDFD_SET_TID_HPP

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/futex.h>
/*
 * struct clone_args is only in the kernel's header. Its CLONE_* and SCHED_*
 * repeat those of the C library word by word, which the preprocessor allows.
 */
#include <sched.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifndef __NR_clone3
#define __NR_clone3 435
#endif
#ifndef __NR_pidfd_send_signal
#define __NR_pidfd_send_signal 424
#endif
#ifndef __NR_pidfd_open
#define __NR_pidfd_open 434
#endif
#ifndef __NR_close_range
#define __NR_close_range 436
#endif
#ifndef PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE
/* <linux/pidfd.h> and the C library's <fcntl.h> exclude each other. */
#define PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE _IO(0xFF, 6)
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/*
 * The harness gives a test 30 s: little for a kernel with all its checks on an
 * emulated machine. What hangs is ended by the time limit of the program, see
 * end_test_too().
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600
#endif

/* The deepest level a PID namespace can be at, level 0 being the initial one. */
constexpr int max_pid_ns_level = 32;

using Pids = std::vector<pid_t>;

/*
 * Words for numbers
 */

inline const char *errno_name(int error)
{
	if (!error)
		return "success";
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	if (const char *name = strerrorname_np(error))
		return name;
#endif
	return strerror(error);
}

inline std::string to_string(const Pids &pids)
{
	std::string text;

	for (pid_t pid : pids)
		text += (text.empty() ? "" : ",") + std::to_string(pid);
	return text.empty() ? "none" : text;
}

/*
 * Time, descriptors, files and memory
 */

/* Of a clock that only goes forward, the same one in every process. */
inline uint64_t now_ns()
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * uint64_t{ 1000000000 } + now.tv_nsec;
}

class Fd {
public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd() { reset(); }

	int get() const { return fd_; }
	bool valid() const { return fd_ >= 0; }
	void reset()
	{
		if (valid())
			close(std::exchange(fd_, -1));
	}

private:
	int fd_ = -1;
};

/* The whole file, or as much of it as could be read. */
inline std::string read_file(const std::string &path, int dir = AT_FDCWD)
{
	const Fd file(openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC));
	std::string text;
	char part[512];
	ssize_t n;

	while ((n = read(file.get(), part, sizeof(part))) > 0)
		text.append(part, n);
	return text;
}

inline int write_file(const std::string &path, std::string_view text, int dir = AT_FDCWD)
{
	const Fd file(openat(dir, path.c_str(), O_WRONLY | O_CLOEXEC));

	if (!file.valid() || write(file.get(), text.data(), text.size()) < 0)
		return errno;
	return 0;
}

/* The number a file starts with, or -1. */
inline long read_number(const std::string &path)
{
	const std::string text = read_file(path);

	return text.empty() ? -1 : strtol(text.c_str(), nullptr, 10);
}

/* One T, zeroed, that this process and its later children share. */
template <typename T> class Shared {
public:
	Shared()
	{
		void *mem = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED)
			abort();
		value_ = new (mem) T{};
	}
	Shared(const Shared &) = delete;
	~Shared() { munmap(static_cast<void *>(value_), sizeof(T)); }

	T *operator->() const { return value_; }
	T &operator*() const { return *value_; }

private:
	T *value_;
};

/* A number in /proc/sys that gets its old value back. */
class Sysctl {
public:
	explicit Sysctl(const std::string &name)
		: path_("/proc/sys/" + name), saved_(read_number(path_))
	{
	}
	Sysctl(const Sysctl &) = delete;
	~Sysctl()
	{
		if (saved_ >= 0 && changed_)
			write_file(path_, std::to_string(saved_));
	}

	long saved() const { return saved_; }
	long get() const { return read_number(path_); }
	int set(long value)
	{
		changed_ = true;
		return write_file(path_, std::to_string(value));
	}

private:
	std::string path_;
	long saved_;
	bool changed_ = false;
};

/*
 * The system call
 */

/* Returns like the kernel: the PID, 0 in the child, or -errno. */
inline long sys_clone3(const void *args, size_t size)
{
	const long ret = syscall(__NR_clone3, args, size);

	return ret < 0 ? -errno : ret;
}

/*
 * The same for a child that shares the caller's memory: args must name a
 * stack, on which the child calls fn(arg) and ends with what that returns.
 * The child shares the caller's errno and stdio as well and had better make
 * bare system calls only.
 */
inline long sys_clone3_on_stack(const void *args, size_t size, int (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
	long ret = __NR_clone3;
	register int (*call)(void *) asm("r12") = fn;
	register void *call_arg asm("r13") = arg;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "xor %%ebp, %%ebp\n\t"
		     "mov %%r13, %%rdi\n\t"
		     "call *%%r12\n\t"
		     "mov %%eax, %%edi\n\t"
		     "mov %[exit], %%eax\n\t"
		     "syscall\n"
		     "1:"
		     : "+a"(ret)
		     : "D"(args), "S"(size), "r"(call), "r"(call_arg), [exit] "i"(__NR_exit)
		     : "rcx", "r11", "cc", "memory");
	return ret;
#elif defined(__i386__)
	long ret = __NR_clone3;

	asm volatile("int $0x80\n\t"
		     "test %%eax, %%eax\n\t"
		     "jnz 1f\n\t"
		     "sub $12, %%esp\n\t"
		     "push %%edi\n\t"
		     "call *%%esi\n\t"
		     "mov %%eax, %%ebx\n\t"
		     "mov %[exit], %%eax\n\t"
		     "int $0x80\n"
		     "1:"
		     : "+a"(ret)
		     : "b"(args), "c"(size), "S"(fn), "D"(arg), [exit] "i"(__NR_exit)
		     : "cc", "memory");
	return ret;
#elif defined(__aarch64__)
	register long ret asm("x0") = reinterpret_cast<long>(args);
	register size_t len asm("x1") = size;
	register long nr asm("x8") = __NR_clone3;
	register int (*call)(void *) asm("x20") = fn;
	register void *call_arg asm("x21") = arg;

	asm volatile("svc #0\n\t"
		     "cbnz x0, 1f\n\t"
		     "mov x29, xzr\n\t"
		     "mov x0, x21\n\t"
		     "blr x20\n\t"
		     "mov x8, %[exit]\n\t"
		     "svc #0\n"
		     "1:"
		     : "+r"(ret)
		     : "r"(len), "r"(nr), "r"(call), "r"(call_arg), [exit] "i"(__NR_exit)
		     : "cc", "memory");
	return ret;
#else
	(void)args, (void)size, (void)fn, (void)arg;
	return -ENOSYS;
#endif
}

/*
 * Children
 */

struct ExitStatus {
	int code = -1; /* what the child exited with, or -1 */
	int signal = 0; /* what killed it, or 0 */
	int error = 0; /* why it could not be waited for, or 0 */
};

/*
 * A child that is killed and reaped when its owner goes away. It is known by
 * its PID as the creator sees it and by a pidfd of the owner's.
 */
class Child {
public:
	Child() = default;
	explicit Child(pid_t pid) : Child(pid, Fd(syscall(__NR_pidfd_open, pid, 0))) {}
	Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
	Child(Child &&other) noexcept
		: pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)),
		  keep_(std::move(other.keep_))
	{
	}
	Child &operator=(Child &&other) noexcept
	{
		std::swap(pid_, other.pid_);
		std::swap(pidfd_, other.pidfd_);
		std::swap(keep_, other.keep_);
		return *this;
	}
	~Child() { end(); }

	pid_t pid() const { return pid_; }
	const Fd &pidfd() const { return pidfd_; }
	bool valid() const { return pid_ > 0; }

	int kill(int signal = SIGKILL) const
	{
		if (syscall(__NR_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0))
			return errno;
		return 0;
	}

	/* Waits until the child has ended, and reaps it. */
	ExitStatus wait()
	{
		const ExitStatus status = wait_for(0);

		if (!status.error)
			pid_ = 0;
		return status;
	}

	/* Waits until the child has ended, and leaves a zombie. */
	ExitStatus wait_zombie() { return wait_for(WNOWAIT); }

	/* Kills, reaps, forgets. */
	void end()
	{
		if (valid()) {
			kill();
			wait();
		}
		release();
	}

	/* Forgets: somebody else looks after the child. */
	void release()
	{
		pid_ = 0;
		pidfd_.reset();
		keep_.clear();
	}

	/* Keeps something alive for as long as the child may use it. */
	void keep(std::shared_ptr<void> what) { keep_.push_back(std::move(what)); }

private:
	ExitStatus wait_for(int flags)
	{
		siginfo_t info = {};
		ExitStatus status;
		int ret;

		do {
			ret = waitid(static_cast<idtype_t>(3 /* P_PIDFD */), pidfd_.get(), &info,
				     WEXITED | __WALL | flags);
		} while (ret && errno == EINTR);

		if (ret)
			status.error = errno;
		else if (info.si_code == CLD_EXITED)
			status.code = info.si_status;
		else
			status.signal = info.si_status;
		return status;
	}

	pid_t pid_ = 0;
	Fd pidfd_;
	std::vector<std::shared_ptr<void>> keep_;
};

/* What must happen by itself has this long, on the slowest machine. */
constexpr int limit_ms = 60000;

/* Waits until something is so; false if it does not come to that. */
template <typename Condition> bool wait_until(Condition is_so)
{
	const uint64_t end = now_ns() + uint64_t{ limit_ms } * 1000000;

	while (!is_so()) {
		if (now_ns() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* Waits for the exit of anybody's child; false if that takes too long. */
inline bool exits_within(const Child &child, int milliseconds)
{
	struct pollfd exit = { child.pidfd().get(), POLLIN, 0 };

	return poll(&exit, 1, milliseconds) > 0;
}

/* Waits until a child has ended, and reaps it. One that does not is killed. */
inline ExitStatus wait_or_kill(Child &child)
{
	if (!exits_within(child, limit_ms))
		child.kill();
	return child.wait();
}

/* What became of a request: a child, or an errno. */
struct Spawned {
	Child child;
	int error = 0;
};

class Stack {
public:
	static constexpr size_t size = size_t{ 256 } * 1024;

	Stack()
		: base_(mmap(nullptr, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0))
	{
		if (base_ == MAP_FAILED)
			abort();
	}
	Stack(const Stack &) = delete;
	~Stack() { munmap(base_, size); }
	uint64_t base() const { return reinterpret_cast<uintptr_t>(base_); }

private:
	void *base_;
};

inline void die_with_parent()
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

namespace detail
{
/* What a child that shares its creator's memory runs, and what it runs on. */
struct SharedRun {
	std::function<int()> fn;
	Stack stack;
	bool thread = false;
	std::atomic<int> alive = 1; /* as CLONE_CHILD_CLEARTID has it */

	static int enter(void *self)
	{
		SharedRun *run = static_cast<SharedRun *>(self);

		if (!run->thread)
			die_with_parent();
		return run->fn();
	}
};
} // namespace detail

/*
 * Makes the call as it is. The child runs fn() and exits with what that
 * returns. With CLONE_VM it gets a stack, unless args has one.
 */
template <typename Fn>
Spawned spawn(const clone_args &args, Fn fn, size_t size = sizeof(clone_args))
{
	if (args.flags & CLONE_VM) {
		auto run = std::make_shared<detail::SharedRun>();
		clone_args with_stack = args;

		run->fn = std::move(fn);
		if (!args.stack) {
			with_stack.stack = run->stack.base();
			with_stack.stack_size = Stack::size;
		}
		const long pid =
			sys_clone3_on_stack(&with_stack, size, detail::SharedRun::enter, run.get());
		if (pid < 0)
			return { {}, static_cast<int>(-pid) };
		Spawned spawned = { Child(pid), 0 };
		spawned.child.keep(std::move(run));
		return spawned;
	}

	const long pid = sys_clone3(&args, size);

	if (pid < 0)
		return { {}, static_cast<int>(-pid) };
	if (!pid) {
		die_with_parent();
		_exit(fn());
	}
	return { Child(pid), 0 };
}

/*
 * Makes the call with a structure of any size and shape and returns its errno
 * or 0. Not for CLONE_VM: see Request::attempt().
 */
inline int attempt(const void *args, size_t size)
{
	const long pid = sys_clone3(args, size);

	if (pid < 0)
		return static_cast<int>(-pid);
	if (!pid)
		_exit(0);
	Child(pid).wait();
	return 0;
}

inline Fd own_pidfd()
{
	return Fd(syscall(__NR_pidfd_open, getpid(), 0));
}

/*
 * The body of a child that is only there to be there, for as long as the
 * process behind a pidfd. (PR_SET_PDEATHSIG is set too late if that process
 * has died already, and an init cannot tell from getppid().) As the init of a
 * namespace it leaves no zombies; it keeps nothing open, so that nobody who
 * reads from a pipe waits for it.
 */
inline int sleep_beside(int pidfd)
{
	struct pollfd exit = {};

	signal(SIGCHLD, SIG_IGN);
	unshare(CLONE_FILES);
	exit.fd = dup2(pidfd, 0);
	exit.events = POLLIN;
	syscall(__NR_close_range, exit.fd + 1U, ~0U, 0);
	while (poll(&exit, 1, -1) < 1)
		;
	return 0;
}

/* A thread of this process, made by clone3(). It must end by itself. */
class Thread {
public:
	Thread() = default;
	Thread(pid_t tid, std::shared_ptr<detail::SharedRun> run) : tid_(tid), run_(std::move(run))
	{
	}
	Thread(Thread &&) = default;
	Thread &operator=(Thread &&other) noexcept
	{
		std::swap(tid_, other.tid_);
		std::swap(run_, other.run_);
		return *this;
	}
	~Thread() { join(); }
	pid_t tid() const { return tid_; }
	void join()
	{
		while (run_ && run_->alive)
			syscall(__NR_futex, &run_->alive, FUTEX_WAIT, 1, nullptr, nullptr, 0);
		run_.reset();
	}

private:
	pid_t tid_ = 0;
	std::shared_ptr<detail::SharedRun> run_;
};

struct StartedThread {
	Thread thread;
	int error = 0;
};

/*
 * A request in words: Request{}.pids({1, 42, 31496}).flags(CLONE_NEWPID).
 * What words cannot say goes into the structure: raw().flags |= ..., or into
 * a copy of it: clone_args a = request.args(); a.set_tid_size = 34;
 */
class Request {
public:
	static constexpr uint64_t thread_flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM |
						 CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;

	Request() { raw_.exit_signal = SIGCHLD; }

	/* Innermost namespace first. */
	Request &pids(Pids pids)
	{
		pids_ = std::move(pids);
		return *this;
	}
	Request &flags(uint64_t flags)
	{
		raw_.flags |= flags;
		return *this;
	}
	Request &exit_signal(int signal)
	{
		raw_.exit_signal = signal;
		return *this;
	}
	Request &into_cgroup(const Fd &dir)
	{
		raw_.flags |= CLONE_INTO_CGROUP;
		raw_.cgroup = dir.get();
		return *this;
	}
	/* A thread, or a sibling: the exit signal is not the caller's to choose. */
	Request &thread() { return flags(thread_flags).exit_signal(0); }
	Request &sibling() { return flags(CLONE_PARENT).exit_signal(0); }
	/* How much of the structure the kernel gets to see. */
	Request &size(size_t size)
	{
		size_ = size;
		return *this;
	}

	clone_args &raw() { return raw_; }

	/* The structure for the kernel; it points into this request. */
	clone_args args() const
	{
		clone_args args = raw_;

		if (!pids_.empty()) {
			args.set_tid = reinterpret_cast<uintptr_t>(pids_.data());
			args.set_tid_size = pids_.size();
		}
		return args;
	}

	template <typename Fn> Spawned spawn(Fn fn) const
	{
		return ::spawn(args(), std::move(fn), size_);
	}

	/* A child that is there until it is killed or its creator is gone. */
	Spawned sleeping() const
	{
		auto creator = std::make_shared<Fd>(own_pidfd());
		Spawned spawned = spawn([pidfd = creator->get()] { return sleep_beside(pidfd); });

		spawned.child.keep(std::move(creator));
		return spawned;
	}

	template <typename Fn> StartedThread start(Fn fn) const
	{
		auto run = std::make_shared<detail::SharedRun>();
		clone_args args = this->args();

		run->fn = std::move(fn);
		run->thread = true;
		if (!args.stack) {
			args.stack = run->stack.base();
			args.stack_size = Stack::size;
		}
		/* join() has nothing else to know by that the stack is free. */
		args.flags |= CLONE_CHILD_CLEARTID;
		args.child_tid = reinterpret_cast<uintptr_t>(&run->alive);

		const long tid =
			sys_clone3_on_stack(&args, size_, detail::SharedRun::enter, run.get());
		if (tid < 0)
			return { {}, static_cast<int>(-tid) };
		return { Thread(tid, std::move(run)), 0 };
	}

	/* Makes the call for its errno (or 0): the child exits at once. */
	int attempt() const
	{
		auto leave = [] { return 0; };

		if (raw_.flags & CLONE_THREAD)
			return start(leave).error;

		Spawned spawned = spawn(leave);

		if (!spawned.error)
			spawned.child.wait();
		return spawned.error;
	}

private:
	clone_args raw_ = {};
	size_t size_ = sizeof(clone_args);
	Pids pids_;
};

/* An ordinary fork(), by way of clone3(). */
template <typename Fn> Spawned run_in_child(Fn fn)
{
	return Request{}.spawn(std::move(fn));
}

/* The next one who asks for a PID from the automatic sequence gets this. */
inline pid_t next_automatic_pid()
{
	Spawned c = run_in_child([] { return 0; });

	return c.child.pid();
}

/*
 * PIDs
 */

/*
 * The PIDs on the "NSpid:" line of /proc/<pid>/status or of a pidfd's fdinfo,
 * from the innermost namespace out to the one that /proc belongs to.
 */
inline Pids nspids(const std::string &path)
{
	static constexpr std::string_view key = "\nNSpid:";
	const std::string text = read_file(path);
	const size_t at = text.find(key);
	Pids pids;

	if (at == text.npos)
		return pids;
	const char *pos = text.c_str() + at + key.size();
	while (*pos == '\t' || *pos == ' ') {
		char *end;
		const long pid = strtol(pos, &end, 10);

		if (end == pos)
			break;
		pids.insert(pids.begin(), pid);
		pos = end;
	}
	return pids;
}

inline Pids nspids(const Fd &pidfd)
{
	return nspids("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
}

inline Pids nspids(const Child &child)
{
	return nspids(child.pidfd());
}

inline Pids nspids_of_self()
{
	return nspids("/proc/thread-self/status");
}

/* Whether a process, a thread or a process group has this PID. */
inline bool pid_in_use(pid_t pid)
{
	return !kill(pid, 0) || errno != ESRCH || !kill(-pid, 0) || errno != ESRCH;
}

/*
 * The state of the process or thread that a /proc/.../stat is of, as its letter there,
 * or 0. The name before it is any bytes, ") Z (" as well; no ")" comes after it.
 */
inline char state_in(const std::string &path)
{
	const std::string stat = read_file(path);
	const size_t at = stat.rfind(") ");

	return at == stat.npos || at + 2 >= stat.size() ? 0 : stat[at + 2];
}

inline long pid_max()
{
	return read_number("/proc/sys/kernel/pid_max");
}

/* The last PID given out automatically in the caller's namespace, or -1. */
inline long last_pid()
{
	return read_number("/proc/sys/kernel/ns_last_pid");
}

inline int set_last_pid(pid_t pid)
{
	return write_file("/proc/sys/kernel/ns_last_pid", std::to_string(pid));
}

/*
 * A PID that nobody uses in the caller's namespace, far away from those that
 * are given out next. Each call finds another one. 0 if all are taken.
 */
inline pid_t find_free_pid()
{
	/* Below are the PIDs of the machine's first processes. */
	constexpr long lowest = 301;
	static long offset;
	const long count = pid_max() - lowest;

	for (long tried = 0; tried < count; tried++) {
		const pid_t pid = lowest + (last_pid() + count / 2 + offset++) % count;

		if (!pid_in_use(pid))
			return pid;
	}
	return 0;
}

/*
 * Namespaces
 */

/*
 * Children of this process are created in another PID namespace, that of a
 * process or of an open /proc/<pid>/ns/pid, until the end of the scope.
 */
class ChildrenIn {
public:
	explicit ChildrenIn(const Fd &where) : own_(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC))
	{
		error_ = setns(where.get(), CLONE_NEWPID) ? errno : 0;
	}
	ChildrenIn(const ChildrenIn &) = delete;
	~ChildrenIn()
	{
		if (!error_ && setns(own_.get(), CLONE_NEWPID))
			abort();
	}
	int error() const { return error_; }

private:
	Fd own_;
	int error_;
};

/* Maps all IDs of a new user namespace to themselves: its parent's root can. */
inline int map_all_ids(pid_t pid)
{
	const std::string proc = "/proc/" + std::to_string(pid);

	if (int error = write_file(proc + "/uid_map", "0 0 4294967295"))
		return error;
	return write_file(proc + "/gid_map", "0 0 4294967295");
}

/*
 * PID namespaces one inside the other, each with an init that sleeps. All the
 * inits are children of the process that built the chain, so that it can look
 * at, kill and enter every level, and no process is a fork of a fork of a
 * fork. Level 1 is the first one below the caller's own.
 */
class NsChain {
public:
	NsChain() = default;
	/* Below another namespace than the caller's own. */
	explicit NsChain(Fd top) : top_(std::move(top)) {}
	explicit NsChain(int depth)
	{
		while (this->depth() < depth && !error_)
			error_ = add();
	}
	~NsChain()
	{
		while (!inits_.empty())
			inits_.pop_back();
	}
	NsChain(NsChain &&) = default;
	NsChain &operator=(NsChain &&) = default;

	/* Why the chain is shorter than it was asked to be, or 0. */
	int error() const { return error_; }
	int depth() const { return inits_.size(); }
	Child &init(int level) { return inits_[level - 1].child; }
	const Fd &ns(int level) const { return inits_[level - 1].child.pidfd(); }
	const Fd &deepest() const { return inits_.empty() ? top_ : inits_.back().child.pidfd(); }

	/* Takes the deepest level off the chain; it lives on as long as its init. */
	Child pop()
	{
		Child init = std::move(inits_.back().child);

		inits_.pop_back();
		return init;
	}

	/*
	 * One level more. With CLONE_NEWUSER in flags it has a user namespace
	 * of its own, inside that of the level above, with the same IDs.
	 */
	int add(uint64_t flags = 0)
	{
		if (deepest().valid())
			return add_below_deepest(flags);

		Spawned init = Request{}.flags(CLONE_NEWPID | flags).sleeping();

		if (!init.error && flags & CLONE_NEWUSER)
			init.error = map_all_ids(init.child.pid());
		if (!init.error)
			inits_.push_back({ std::move(init.child), flags });
		return init.error;
	}

	/*
	 * Runs fn() in an ordinary task, not an init, at a level. The task has
	 * the caller's user namespace: setns(ns(level).get(), CLONE_NEWUSER)
	 * in fn() changes to that of the level.
	 */
	template <typename Fn> Spawned run_at(int level, Fn fn) const
	{
		const ChildrenIn scope(ns(level));

		if (scope.error())
			return { {}, scope.error() };
		return run_in_child(std::move(fn));
	}
	template <typename Fn> Spawned run_deepest(Fn fn) const
	{
		return run_at(depth(), std::move(fn));
	}

private:
	struct Level {
		Child child;
		uint64_t flags;
	};

	int add_below_deepest(uint64_t flags)
	{
		/*
		 * A namespace is created inside that of its creator, not that
		 * of its creator's children: a helper goes there. It hands
		 * over the new init as a sibling (CLONE_PARENT), and the pidfd
		 * through the table of descriptors that it shares.
		 */
		struct Made {
			int pidfd = -1;
			int error = 0;
		};
		const Shared<Made> made;
		const Fd owner = own_pidfd();
		/* Its owner has to be the owner of those above, or inside of that. */
		const bool own_user_ns = std::any_of(inits_.begin(), inits_.end(), [](auto &level) {
			return level.flags & CLONE_NEWUSER;
		});
		const ChildrenIn scope(deepest());

		if (scope.error())
			return scope.error();
		auto make = [&] {
			Request request;

			if (own_user_ns && setns(deepest().get(), CLONE_NEWUSER)) {
				made->error = errno;
				return 1;
			}
			request.flags(CLONE_NEWPID | CLONE_PIDFD | flags).sibling();
			request.raw().pidfd = reinterpret_cast<uintptr_t>(&made->pidfd);
			const long pid = sys_clone3(&request.raw(), sizeof(clone_args));
			if (!pid)
				_exit(sleep_beside(owner.get()));
			if (pid < 0)
				made->error = -pid;
			else if (flags & CLONE_NEWUSER)
				made->error = map_all_ids(outermost_pid(made->pidfd));
			return 0;
		};
		Spawned helper = Request{}.flags(CLONE_FILES).spawn(make);
		if (helper.error)
			return helper.error;
		helper.child.wait();
		Child init(outermost_pid(made->pidfd), Fd(made->pidfd));
		if (made->error)
			return made->error;
		inits_.push_back({ std::move(init), flags });
		return 0;
	}

	static pid_t outermost_pid(int pidfd)
	{
		const Pids pids = nspids("/proc/self/fdinfo/" + std::to_string(pidfd));

		return pids.empty() ? 0 : pids.back();
	}

	Fd top_;
	std::vector<Level> inits_;
	int error_ = 0;
};

/* The namespace of a process, also for when that is gone. */
inline Fd open_ns(const Child &process)
{
	const std::string path = "/proc/" + std::to_string(process.pid()) + "/ns/pid";

	return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/* Two ways to the namespace that a process creates its children in. */
inline Fd children_ns(const Fd &pidfd)
{
	return Fd(ioctl(pidfd.get(), PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE, 0));
}
inline Fd children_ns_by_pidfd(const Child &child)
{
	return children_ns(child.pidfd());
}
inline Fd children_ns_by_proc(const Child &child)
{
	const std::string path = "/proc/" + std::to_string(child.pid()) + "/ns/pid_for_children";

	return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/*
 * A PID namespace without an init: its creator has unshared it, and creates
 * nothing. Whoever has the descriptor can enter it, also after the creator has gone.
 */
class InitlessNs {
public:
	using Open = Fd (*)(const Child &);

	/*
	 * Below a level of a chain, the deepest one if none is named, or the caller's own
	 * namespace. prepare() is called by the creator before, and returns 0 or an errno.
	 */
	explicit InitlessNs(const NsChain &above = {}, Open open = children_ns_by_pidfd,
			    const std::function<int()> &prepare = nullptr, int level = 0)
	{
		const Shared<std::atomic<int>> unshared;
		auto body = [&] {
			int error = prepare ? prepare() : 0;

			if (!error && unshare(CLONE_NEWPID))
				error = errno;
			*unshared = error ? -error : 1;
			for (;;)
				pause();
			return 0;
		};
		if (!level)
			level = above.depth();
		Spawned spawned = level ? above.run_at(level, body) : run_in_child(body);

		creator_ = std::move(spawned.child);
		error_ = spawned.error;
		if (error_)
			return;
		if (!wait_until([&] { return *unshared || exits_within(creator_, 0); }) ||
		    *unshared != 1) {
			error_ = *unshared ? -*unshared : ECHILD;
			return;
		}
		ns_ = open(creator_);
		error_ = ns_.valid() ? 0 : errno;
	}

	int error() const { return error_; }
	const Fd &ns() const { return ns_; }
	Child &creator() { return creator_; }

private:
	Child creator_;
	Fd ns_;
	int error_ = 0;
};

/*
 * An init that will be killed, held at the last moment at which its own
 * namespace does not know yet, until the end of the scope.
 */
class HeldAtExit {
public:
	explicit HeldAtExit(const Child &init) : pid_(init.pid())
	{
		if (ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACEEXIT))
			error_ = errno;
	}
	HeldAtExit(HeldAtExit &&other) noexcept
		: pid_(std::exchange(other.pid_, 0)), error_(other.error_)
	{
	}
	~HeldAtExit() { release(); }
	int error() const { return error_; }

	/* Waits until that moment has come. */
	int wait() const
	{
		int status = 0;

		if (waitpid(pid_, &status, __WALL) != pid_)
			return errno;
		return status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8) ? 0 : ECHILD;
	}
	void release()
	{
		if (pid_)
			ptrace(PTRACE_DETACH, std::exchange(pid_, 0), nullptr, nullptr);
	}

private:
	pid_t pid_;
	int error_ = 0;
};

/*
 * Refused requests
 */

/* Inode number of a process's PID namespace, as the kernel tells it, or 0. */
inline unsigned long pid_ns_inode(pid_t pid)
{
	struct stat st = {};

	return stat(("/proc/" + std::to_string(pid) + "/ns/pid").c_str(), &st) ? 0 : st.st_ino;
}

/*
 * One refused request, as the trace event set_tid_refused tells it. The rest of the
 * line after "holder_comm=" is a name: what looks like a field in there is none.
 */
class Refused {
public:
	Refused(pid_t caller, std::string line)
		: caller_(caller), line_(std::move(line)), fields_(line_.find(comm_key))
	{
	}

	/* In the initial PID namespace. */
	pid_t caller() const { return caller_; }
	/* "level=0 ns=...", down to the holder's name. */
	const std::string &line() const { return line_; }

	/* The value of a field, "" if there is none. */
	std::string text(const std::string &key) const
	{
		const std::string fields = " " + line_.substr(0, fields_);
		const size_t at = fields.find(" " + key + "=");

		if (at == fields.npos)
			return "";
		const size_t value = at + key.size() + 2;
		return fields.substr(value, fields.find(' ', value) - value);
	}
	long number(const std::string &key) const { return atol(text(key).c_str()); }
	/* Not printable ASCII, spaces and backslashes are \xHH there already. */
	std::string holder_comm() const
	{
		return fields_ == line_.npos ? "" : line_.substr(fields_ + comm_key.size());
	}

private:
	static constexpr std::string_view comm_key = " holder_comm=";

	pid_t caller_;
	std::string line_;
	size_t fields_;
};

/*
 * What the kernel says of refused requests from now on: the trace event
 * set_tid_refused, in a tracefs instance of its own, which is gone at the end of
 * the scope. It hears everybody, unless it is told otherwise: set_event_pid would turn
 * on events of the scheduler's, and not all emulators like that.
 */
class RefusalTrace {
public:
	RefusalTrace() : dir_(tracefs() + ("/instances/set_tid." + std::to_string(getpid())))
	{
		if (access((tracefs() + std::string("/events/set_tid")).c_str(), F_OK)) {
			missing_ =
				"needs a kernel with the trace event set_tid_refused, and tracefs";
			return;
		}
		if (mkdir(dir_.c_str(), 0700)) {
			missing_ = "needs the right to make an instance in tracefs";
			return;
		}
		made_ = true;
		if (write_file(event("enable"), "1"))
			missing_ = "needs the right to trace";
	}
	RefusalTrace(const RefusalTrace &) = delete;
	~RefusalTrace()
	{
		if (made_)
			rmdir(dir_.c_str());
	}

	/* Why it says nothing, or a null pointer. */
	const char *missing() const { return missing_; }

	/* From now on it hears one caller, so that others cannot fill its buffer. */
	int only(pid_t caller) const
	{
		return write_file(event("filter"), "common_pid == " + std::to_string(caller));
	}

	/*
	 * Each refused request since the last time, of everybody or of one caller, by its
	 * PID in the initial PID namespace.
	 */
	std::vector<Refused> take(pid_t caller = 0)
	{
		std::vector<Refused> told = parse(read_file(dir_ + "/trace"));

		close(open((dir_ + "/trace").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
		if (caller)
			std::erase_if(told, [&](const Refused &refused) {
				return refused.caller() != caller;
			});
		return told;
	}

	/*
	 * "COMM-PID [CPU] FLAGS TIME: set_tid_refused: FIELDS", with "(TGID)" before the
	 * CPU if that is asked for. Of the caller's name nothing is escaped: it may be
	 * empty, look like a PID, or break the line. It is too short to have the
	 * event's name in it, and nothing behind it has a " [" but the CPU.
	 */
	static std::vector<Refused> parse(const std::string &text)
	{
		static constexpr std::string_view name = ": set_tid_refused: ";
		std::istringstream trace(text);
		std::vector<Refused> told;

		for (std::string line; std::getline(trace, line);) {
			const size_t at = line.find(name);

			if (at != line.npos)
				told.emplace_back(caller_in(line.substr(0, at)),
						  line.substr(at + name.size()));
		}
		return told;
	}

private:
	static pid_t caller_in(const std::string &prefix)
	{
		/* Without the CPU, and without the thread group. */
		std::string_view task = std::string_view(prefix).substr(0, prefix.rfind(" ["));

		if (task.ends_with(')'))
			task = task.substr(0, task.rfind('('));
		return atoi(prefix.c_str() + task.rfind('-') + 1);
	}

	std::string event(const char *file) const
	{
		return dir_ + "/events/set_tid/set_tid_refused/" + file;
	}

	static std::string tracefs()
	{
		const std::string mounted = "/sys/kernel/tracing";

		return access((mounted + "/events").c_str(), F_OK) ? "/sys/kernel/debug/tracing" :
								     mounted;
	}

	std::string dir_;
	bool made_ = false;
	const char *missing_ = nullptr;
};

/*
 * Privileges
 */

/* Becomes an ordinary user: no groups, no capabilities, no way back. */
inline int become_user(uid_t uid = 65534)
{
	if (setgroups(0, nullptr) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return errno;
	/* Or else /proc/self would stay root's. */
	return prctl(PR_SET_DUMPABLE, 1) ? errno : 0;
}

namespace detail
{
struct Capabilities {
	uint64_t effective = 0;
	uint64_t permitted = 0;

	int get()
	{
		__user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
		__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

		if (syscall(__NR_capget, &head, data))
			return errno;
		effective = data[0].effective | uint64_t{ data[1].effective } << 32;
		permitted = data[0].permitted | uint64_t{ data[1].permitted } << 32;
		return 0;
	}
	int set() const
	{
		__user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
		__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

		data[0].effective = effective;
		data[1].effective = effective >> 32;
		data[0].permitted = permitted;
		data[1].permitted = permitted >> 32;
		return syscall(__NR_capset, &head, data) ? errno : 0;
	}
};
} // namespace detail

inline bool has_capability(int cap)
{
	detail::Capabilities caps;

	return !caps.get() && caps.effective >> cap & 1;
}

/* Gives up every capability but these. */
inline int keep_capabilities(std::initializer_list<int> keep)
{
	detail::Capabilities caps;

	for (int cap : keep)
		caps.permitted |= uint64_t{ 1 } << cap;
	caps.effective = caps.permitted;
	return caps.set();
}

inline int drop_capabilities(std::initializer_list<int> drop)
{
	detail::Capabilities caps;

	if (int error = caps.get())
		return error;
	for (int cap : drop)
		caps.permitted &= ~(uint64_t{ 1 } << cap);
	caps.effective &= caps.permitted;
	return caps.set();
}

/*
 * A cgroup (v2) with the pids controller, removed at the end of the scope. It
 * is reached through a mount of its own that is attached nowhere, so the tests
 * need not know where, or whether, the system has mounted the hierarchy.
 */
class Cgroup {
public:
	Cgroup() : name_("set_tid_test." + std::to_string(getpid()))
	{
		/* Two headers define these, and exclude each other. */
		constexpr unsigned int config_create = 6, cloexec = 1;
		const Fd fs(syscall(__NR_fsopen, "cgroup2", cloexec));

		if (!fs.valid() ||
		    syscall(__NR_fsconfig, fs.get(), config_create, nullptr, nullptr, 0)) {
			missing_ = "needs CONFIG_CGROUPS and the right to mount cgroup2";
			return;
		}
		root_ = Fd(syscall(__NR_fsmount, fs.get(), cloexec, 0));
		if (!lists_pids("cgroup.controllers")) {
			missing_ = "needs CONFIG_CGROUP_PIDS, not claimed by cgroup v1";
			return;
		}
		if (!lists_pids("cgroup.subtree_control")) {
			if (write_file("cgroup.subtree_control", "+pids", root_.get())) {
				missing_ = "needs the right to use the pids cgroup";
				return;
			}
			enabled_ = true;
		}
		if (mkdirat(root_.get(), name_.c_str(), 0755)) {
			missing_ = "needs the right to create a cgroup";
			return;
		}
		dir_ = Fd(openat(root_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	Cgroup(const Cgroup &) = delete;
	~Cgroup()
	{
		if (dir_.valid())
			unlinkat(root_.get(), name_.c_str(), AT_REMOVEDIR);
		if (enabled_)
			write_file("cgroup.subtree_control", "-pids", root_.get());
	}

	/* Why there is none, or a null pointer. */
	const char *missing() const { return missing_; }
	const Fd &dir() const { return dir_; }
	int set(const std::string &file, const std::string &value) const
	{
		return write_file(file, value, dir_.get());
	}
	std::string get(const std::string &file) const { return read_file(file, dir_.get()); }

private:
	bool lists_pids(const char *file) const
	{
		return read_file(file, root_.get()).find("pids") != std::string::npos;
	}

	std::string name_;
	Fd root_, dir_;
	bool enabled_ = false;
	const char *missing_ = nullptr;
};

/*
 * What a test needs: each function returns a null pointer, or what is missing.
 */

inline const char *missing_set_tid()
{
	clone_args args = {};

	/* A pointer without a size: a kernel that knows the field says EINVAL. */
	args.set_tid = ~0ULL;
	return sys_clone3(&args, sizeof(args)) == -EINVAL ?
		       nullptr :
		       "needs a kernel whose clone3() has set_tid";
}

inline const char *missing_root()
{
	if (geteuid() || !has_capability(CAP_SYS_ADMIN))
		return "needs root with CAP_SYS_ADMIN";
	return missing_set_tid();
}

inline const char *missing_pid_ns()
{
	return access("/proc/self/ns/pid", F_OK) ? "needs CONFIG_PID_NS and /proc" : nullptr;
}

/* Levels can be counted from 0 only in the initial PID namespace. */
inline const char *missing_initial_pid_ns()
{
	struct stat st = {};

	/* PROC_PID_INIT_INO */
	return stat("/proc/self/ns/pid", &st) || st.st_ino != 0xEFFFFFFC ?
		       "needs the initial PID namespace" :
		       nullptr;
}

inline const char *missing_user_ns()
{
	return read_number("/proc/sys/user/max_user_namespaces") > 0 ?
		       nullptr :
		       "needs CONFIG_USER_NS and user.max_user_namespaces";
}

inline const char *missing_last_pid()
{
	return last_pid() < 0 ? "needs CONFIG_CHECKPOINT_RESTORE (ns_last_pid)" : nullptr;
}

/*
 * For tests: with kselftest_harness.h included before this header.
 */
#ifdef __KSELFTEST_HARNESS_H

/*
 * The time limit of the program ends the harness. A test has a process group of its
 * own: it would go on, and whoever reads what it prints would wait for it.
 */
inline void end_test_too(int sig)
{
	if (__active_test)
		kill(-__active_test->pid, SIGKILL);
	signal(sig, SIG_DFL);
	raise(sig);
}

[[gnu::constructor]] static void heed_time_limit()
{
	signal(SIGTERM, end_test_too);
}

/*
 * What a test asserts in another process. The harness keeps a test's state in
 * the memory of the test's own process (TEST) or in memory that is shared with
 * it (TEST_F), and ASSERT_*() jumps back into that process's stack. So fn()
 * gets a state of its own, and its result is the exit status of the process:
 *
 *	auto body = checks(_metadata, [&](auto *_metadata) {
 *		ASSERT_EQ(1, getppid());
 *	});
 *	EXPECT_CHECKS_PASS(chain.run_deepest(body));
 *
 * SKIP(return, ...) in fn() skips the test.
 */
template <typename Fn> auto checks(const struct __test_metadata *outer, Fn fn)
{
	return [outer, fn]() -> int {
		struct __test_metadata own = *outer;

		own.exit_code = KSFT_PASS;
		own.trigger = 0;
		own.aborted = false;
		if (!setjmp(own.env))
			fn(&own);
		return own.exit_code;
	};
}

#define EXPECT_CHECKS_PASS(task)                                          \
	do {                                                              \
		auto &&task_ = (task);                                    \
		const ExitStatus status_ = task_.child.wait();            \
		EXPECT_ERRNO(0, task_.error);                             \
		if (status_.code == KSFT_SKIP && !_metadata->exit_code) { \
			_metadata->exit_code = KSFT_SKIP;                 \
			return;                                           \
		}                                                         \
		EXPECT_ERRNO(0, status_.error);                           \
		EXPECT_EQ(0, status_.signal);                             \
		EXPECT_EQ(KSFT_PASS, status_.code);                       \
	} while (0)

/*
 * Like the harness's own, down to the optional handler behind them:
 * EXPECT_ERRNO(EINVAL, request.attempt()) takes 0 or an errno on each side,
 * EXPECT_PIDS((Pids{ 1, 42 }), nspids(child)) lists of PIDs, innermost first,
 * and EXPECT_TEXT(std::to_string(pid), read_file(path)) strings. (EXPECT_STREQ()
 * would keep a pointer into a string that is gone.)
 */
#define EXPECT_ERRNO(expected, seen) __EXPECT_SAME(errno_name(expected), errno_name(seen), #seen, 0)
#define ASSERT_ERRNO(expected, seen) __EXPECT_SAME(errno_name(expected), errno_name(seen), #seen, 1)
#define EXPECT_PIDS(expected, seen) __EXPECT_SAME(to_string(expected), to_string(seen), #seen, 0)
#define ASSERT_PIDS(expected, seen) __EXPECT_SAME(to_string(expected), to_string(seen), #seen, 1)
#define EXPECT_TEXT(expected, seen) __EXPECT_SAME(expected, seen, #seen, 0)
#define ASSERT_TEXT(expected, seen) __EXPECT_SAME(expected, seen, #seen, 1)
#define __EXPECT_SAME(expected, seen, what, _assert)                                               \
	for (expect_same(_metadata, __FILE__, __LINE__, expected, seen, what); _metadata->trigger; \
	     _metadata->trigger = __bail(_assert, _metadata))

inline void expect_same(struct __test_metadata *_metadata, const char *file, int line,
			const std::string &expected, const std::string &seen, const char *what)
{
	if (expected == seen)
		return;
	fprintf(TH_LOG_STREAM, "# %s:%d:%s:Expected %s, got %s: %s\n", file, line, _metadata->name,
		expected.c_str(), seen.c_str(), what);
	_metadata->exit_code = KSFT_FAIL;
	/* Has the handler run, if there is one. */
	_metadata->trigger = 1;
}

/* Skips the test when something is missing: SKIP_IF_MISSING(missing_root()). */
#define SKIP_IF_MISSING(what)                         \
	do {                                          \
		const char *missing_ = (what);        \
		if (missing_)                         \
			SKIP(return, "%s", missing_); \
	} while (0)

#endif /* __KSELFTEST_HARNESS_H */

#endif /* SELFTESTS_PIDFD_SET_TID_HPP */
