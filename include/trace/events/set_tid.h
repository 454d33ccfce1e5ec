/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM set_tid

#if !defined(_TRACE_SET_TID_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SET_TID_H

#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#ifndef _SET_TID_HOLDER
#define _SET_TID_HOLDER

/* Who has a PID, and so keeps it from others. */
struct set_tid_holder {
	enum {
		SET_TID_HELD_BY_NONE,
		SET_TID_HELD_BY_PROCESS,
		SET_TID_HELD_BY_THREAD,
		SET_TID_HELD_BY_ZOMBIE,
		SET_TID_HELD_BY_GROUP,
		SET_TID_HELD_BY_SESSION,
	} kind;
	pid_t pid;			/* in the initial namespace */
	char comm[TASK_COMM_LEN];
};

#endif

TRACE_DEFINE_ENUM(SET_TID_HELD_BY_NONE);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_PROCESS);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_THREAD);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_ZOMBIE);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_GROUP);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_SESSION);

/*
 * A set_tid request is refused. The level that refuses it is told by its
 * number and by the inode of its namespace, as in /proc/PID/ns/pid; a PID of 0
 * is an automatic one. For EEXIST, the holder is whoever has the PID when the
 * event is emitted: "none" if it has just been given back, or belongs to a
 * process that is only being made.
 */
TRACE_EVENT(set_tid_refused,

	TP_PROTO(const struct pid_namespace *ns, pid_t nr, int error,
		 const struct set_tid_holder *holder),

	TP_ARGS(ns, nr, error, holder),

	TP_STRUCT__entry(
		__field(unsigned int, level)
		__field(unsigned int, ns)
		__field(pid_t, pid)
		__field(int, error)
		__field(int, holder)
		__field(pid_t, holder_pid)
		__array(char, holder_comm, TASK_COMM_LEN)
	),

	TP_fast_assign(
		__entry->level = ns->level;
		__entry->ns = ns->ns.inum;
		__entry->pid = nr;
		__entry->error = error;
		__entry->holder = holder->kind;
		__entry->holder_pid = holder->pid;
		memcpy(__entry->holder_comm, holder->comm, TASK_COMM_LEN);
	),

	TP_printk("level=%u ns=%u pid=%d error=%d holder=%s holder_pid=%d holder_comm=%s",
		  __entry->level, __entry->ns, __entry->pid, __entry->error,
		  __print_symbolic(__entry->holder,
				   { SET_TID_HELD_BY_NONE,	"none" },
				   { SET_TID_HELD_BY_PROCESS,	"process" },
				   { SET_TID_HELD_BY_THREAD,	"thread" },
				   { SET_TID_HELD_BY_ZOMBIE,	"zombie" },
				   { SET_TID_HELD_BY_GROUP,	"group" },
				   { SET_TID_HELD_BY_SESSION,	"session" }),
		  __entry->holder_pid, __entry->holder_comm)
);

#endif /* _TRACE_SET_TID_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
