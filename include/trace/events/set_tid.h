/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM set_tid

#if !defined(_TRACE_SET_TID_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SET_TID_H

#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/string_helpers.h>
#include <linux/tracepoint.h>

#ifndef _SET_TID_HOLDER
#define _SET_TID_HOLDER

/* Whoever includes this has included kernel/set_tid.h, for the reasons. */

/* Who has a PID, and so keeps it from others. PIDs in the initial namespace. */
struct set_tid_holder {
	enum {
		SET_TID_HELD_BY_NONE,
		SET_TID_HELD_BY_PROCESS,
		SET_TID_HELD_BY_EXITED_LEADER,
		SET_TID_HELD_BY_THREAD,
		SET_TID_HELD_BY_ZOMBIE,
		SET_TID_HELD_BY_GROUP,
		SET_TID_HELD_BY_SESSION,
	} kind;
	pid_t pid;
	pid_t tgid;
	char comm[TASK_COMM_LEN];
};

/* A name as text: each byte may become \xHH. */
#define SET_TID_COMM_TEXT (4 * (TASK_COMM_LEN - 1) + 1)

static inline void set_tid_comm_text(char text[SET_TID_COMM_TEXT],
				     const char comm[TASK_COMM_LEN])
{
	const size_t length = strnlen(comm, TASK_COMM_LEN - 1);

	text[string_escape_mem(comm, length, text, SET_TID_COMM_TEXT,
			       ESCAPE_HEX | ESCAPE_NAP | ESCAPE_APPEND,
			       "\\ ")] = 0;
}

#endif

TRACE_DEFINE_ENUM(SET_TID_TOO_MANY);
TRACE_DEFINE_ENUM(SET_TID_OUT_OF_RANGE);
TRACE_DEFINE_ENUM(SET_TID_NO_INIT_YET);
TRACE_DEFINE_ENUM(SET_TID_NO_CAPABILITY);
TRACE_DEFINE_ENUM(SET_TID_IN_USE);
TRACE_DEFINE_ENUM(SET_TID_LOST_INIT);
TRACE_DEFINE_ENUM(SET_TID_NONE_FREE);
TRACE_DEFINE_ENUM(SET_TID_NO_MEMORY);

TRACE_DEFINE_ENUM(SET_TID_HELD_BY_NONE);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_PROCESS);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_EXITED_LEADER);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_THREAD);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_ZOMBIE);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_GROUP);
TRACE_DEFINE_ENUM(SET_TID_HELD_BY_SESSION);

/*
 * A set_tid request is refused. The level that refuses it is given by its
 * number and by the inode of its namespace, as in /proc/PID/ns/pid; a PID of 0
 * is an automatic one. For SET_TID_IN_USE, the holder is whoever has the PID when
 * the event is emitted: "none" if it has just been given back, or belongs to a
 * process that is still being created.
 *
 * A task's name is any bytes that its owner likes. holder_comm has those that are
 * not printable ASCII, the space and the backslash as \xHH: a line stays one line,
 * and a field one field, whatever prints or parses it.
 */
TRACE_EVENT(set_tid_refused,

	TP_PROTO(const struct pid_namespace *ns, pid_t nr,
		 enum set_tid_reason reason, int error,
		 const struct set_tid_holder *holder),

	TP_ARGS(ns, nr, reason, error, holder),

	TP_STRUCT__entry(
		__field(unsigned int, level)
		__field(unsigned int, ns)
		__field(pid_t, pid)
		__field(int, error)
		__field(int, reason)
		__field(int, holder)
		__field(pid_t, holder_pid)
		__field(pid_t, holder_tgid)
		__array(char, holder_comm, SET_TID_COMM_TEXT)
	),

	TP_fast_assign(
		__entry->level = ns->level;
		__entry->ns = ns->ns.inum;
		__entry->pid = nr;
		__entry->error = error;
		__entry->reason = reason;
		__entry->holder = holder->kind;
		__entry->holder_pid = holder->pid;
		__entry->holder_tgid = holder->tgid;
		set_tid_comm_text(__entry->holder_comm, holder->comm);
	),

	TP_printk("level=%u ns=%u pid=%d error=%d reason=%s holder=%s holder_pid=%d holder_tgid=%d holder_comm=%s",
		  __entry->level, __entry->ns, __entry->pid, __entry->error,
		  __print_symbolic(__entry->reason,
				   { SET_TID_TOO_MANY,		"too-many-pids" },
				   { SET_TID_OUT_OF_RANGE,	"out-of-range" },
				   { SET_TID_NO_INIT_YET,	"no-init-yet" },
				   { SET_TID_NO_CAPABILITY,	"no-capability" },
				   { SET_TID_IN_USE,		"in-use" },
				   { SET_TID_LOST_INIT,		"lost-init" },
				   { SET_TID_NONE_FREE,		"none-free" },
				   { SET_TID_NO_MEMORY,		"no-memory" }),
		  __print_symbolic(__entry->holder,
				   { SET_TID_HELD_BY_NONE,	"none" },
				   { SET_TID_HELD_BY_PROCESS,	"process" },
				   { SET_TID_HELD_BY_EXITED_LEADER, "exited-leader" },
				   { SET_TID_HELD_BY_THREAD,	"thread" },
				   { SET_TID_HELD_BY_ZOMBIE,	"zombie" },
				   { SET_TID_HELD_BY_GROUP,	"group" },
				   { SET_TID_HELD_BY_SESSION,	"session" }),
		  __entry->holder_pid, __entry->holder_tgid, __entry->holder_comm)
);

#endif /* _TRACE_SET_TID_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
