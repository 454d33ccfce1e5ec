/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system call, and what headers of an older C library lack.
 */
#ifndef SET_TID_LIB_SYSCALL_HPP
#define SET_TID_LIB_SYSCALL_HPP

#include <errno.h>
/*
 * struct clone_args is only in the kernel's header. Its CLONE_* and SCHED_*
 * repeat those of the C library word by word, which the preprocessor allows.
 */
#include <sched.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
#ifndef CLONE_AUTOREAP
#define CLONE_AUTOREAP (1ULL << 34)
#define CLONE_NNP (1ULL << 35)
#define CLONE_PIDFD_AUTOKILL (1ULL << 36)
#define CLONE_EMPTY_MNTNS (1ULL << 37)
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/* Returns like the kernel: the PID, 0 in the child, or -errno. */
inline long sys_clone3(const void *args, size_t size)
{
	const long ret = syscall(__NR_clone3, args, size);

	return ret < 0 ? -errno : ret;
}

/*
 * The same for a child that shares the caller's memory. args must name a stack:
 * the child calls fn(arg) there and exits with what fn() returns. It shares the
 * caller's errno and stdio, too, so fn() should make bare system calls only.
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

#endif /* SET_TID_LIB_SYSCALL_HPP */
