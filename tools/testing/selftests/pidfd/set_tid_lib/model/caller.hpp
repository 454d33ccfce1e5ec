/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making the calls. All of this is shared by the workers.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALLER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALLER_HPP

#include "exchange.hpp"
#include "model.hpp"

namespace model
{
[[noreturn]] inline void sleep_for_ever()
{
	for (;;)
		pause();
}

struct Started {
	Role role;
	Result *result;
};

/* What the child of a call does. */
inline int child_main(void *arg)
{
	const Started *started = static_cast<Started *>(arg);
	Result &result = *started->result;

	if (started->role != Role::thread)
		die_with_parent();
	result.child.fill();
	switch (started->role) {
	case Role::leaves:
	case Role::zombie:
		break;
	case Role::thread:
		while (!result.go)
			syscall(__NR_sched_yield);
		break;
	case Role::sleeps:
	case Role::init:
		sleep_for_ever();
	case Role::group:
	case Role::session: {
		const bool session = started->role == Role::session;
		const clone_args args = Request{}.sibling().args();

		session ? setsid() : setpgid(0, 0);
		const long member = sys_clone3(&args, sizeof(args));
		if (member < 0)
			result.member.count = member;
		if (!member) {
			die_with_parent();
			if (session)
				setpgid(0, 0);
			result.member.fill();
			sleep_for_ever();
		}
		while (!result.member.count)
			sched_yield();
		break;
	}
	}
	return 0;
}

/*
 * Makes calls and waits for what comes of them. With a table, what others could
 * be told meanwhile, and who holds what, is written down there.
 */
class Caller {
public:
	Caller(Table *table, int worker) : table_(table), worker_(worker) {}

	clone_args args(const Call &c) { return arguments(c, memory_, stack_.base()); }

	/* Returns what is wrong, as far as the model need not be asked. */
	std::string make(const Model &m, const Actor &a, const Call &c, Result &result)
	{
		const clone_args args = this->args(c);
		const Pids asked = requested(c, visible(c, args));
		const bool init = c.flags & CLONE_NEWPID;
		std::vector<std::pair<Contended *, std::pair<int, int>>> contended;
		Started started = { c.role, &result };
		alignas(clone_args) char large[8192] = {};
		std::string wrong;
		size_t i = init;

		for (int space : m.levels(a.target)) {
			if (i < asked.size() && table_ && m.shares.is_contended(asked[i])) {
				auto &number =
					table_->contended[space][asked[i] - m.shares.contended];
				const int asking = number.asking++;

				contended.push_back({ &number, { asking, number.successes } });
			}
			i++;
		}
		memcpy(large, &args, sizeof(args));
		large[sizeof(args)] = c.tail;
		const long ret = c.flags & CLONE_VM ?
					 sys_clone3_on_stack(large, c.size, child_main, &started) :
					 sys_clone3(large, c.size);
		if (!ret)
			_exit(child_main(&started));
		result.ret = ret;

		/* It has had its PIDs, if only for a moment. */
		if (result.ret > 0 || result.ret == -EFAULT || result.ret == -EBADF) {
			for (auto &number : contended)
				number.first->successes++;
		}
		if (result.ret > 0)
			wrong = finish(m, a, c, result);
		bool meanwhile = false;
		const bool stays = result.ret > 0 &&
				   (c.flags & CLONE_PARENT || c.role == Role::init);
		for (auto &[number, before] : contended) {
			/* Who stays has it until it is released. */
			const int others = stays ? 0 : --number->asking;

			meanwhile = meanwhile || before.first || others ||
				    before.second != number->successes;
		}
		if (result.ret == -EEXIST && !contended.empty() && !meanwhile) {
			/* Without those that others may have: is one still in use? */
			Model alone = m;

			alone.shares.contended_count = 0;
			if (!alone.claim(m.levels(a.target), asked, init).count(EEXIST))
				wrong = "a PID is in use that nobody has had meanwhile";
		}
		return wrong;
	}

	/* No PID has two holders. */
	std::string mark(const Model &m, int target, const Pids &pids)
	{
		std::string wrong;

		each(m, target, pids, [&](int space, pid_t pid) {
			const int other = table_->holder[space][pid].exchange(worker_ + 1);

			if (other)
				wrong = "worker " + std::to_string(other - 1) + " has PID " +
					std::to_string(pid) + " in namespace " +
					std::to_string(space) + ", too";
		});
		return wrong;
	}
	void unmark(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids,
		     [&](int space, pid_t pid) { table_->holder[space][pid] = 0; });
	}

	/* Somebody who stayed has been reaped. */
	void given_back(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids, [&](int space, pid_t pid) {
			if (m.shares.is_contended(pid))
				--table_->contended[space][pid - m.shares.contended].asking;
		});
	}

private:
	template <typename Fn> void each(const Model &m, int target, const Pids &pids, Fn fn)
	{
		size_t i = 0;

		for (int space : m.levels(target)) {
			if (table_ && i < pids.size() && m.spaces[space].state == PidNs::alive &&
			    !m.spaces[space].private_to_actor && space < max_spaces &&
			    pids[i] > 0 && pids[i] < table_size)
				fn(space, pids[i]);
			i++;
		}
	}

	/* Waits for the child's report, and unless it stays for its end. */
	std::string finish(const Model &m, const Actor &a, const Call &c, Result &result)
	{
		const bool sibling = c.flags & CLONE_PARENT, thread = c.flags & CLONE_THREAD;
		const bool leads = sibling && (c.role == Role::group || c.role == Role::session);
		const pid_t pid = result.ret;
		std::string wrong;

		if (c.flags & CLONE_PIDFD)
			close(memory_.pidfd);
		while (!result.child.count || (leads && !result.member.count))
			sched_yield();
		Pids got = result.child.get();
		if (c.flags & CLONE_NEWPID && !got.empty())
			got.erase(got.begin());
		wrong = mark(m, a.target, got);
		if (leads && wrong.empty())
			wrong = mark(m, a.target, result.member.get());
		if (sibling || c.role == Role::init)
			return wrong;

		unmark(m, a.target, got);
		if (thread) {
			result.go = 1;
			while (!syscall(__NR_tgkill, getpid(), pid, 0))
				sched_yield();
			/* Waits for tasklist_lock, under which its PID is given back. */
			kill(-pid, 0);
		} else {
			while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR)
				;
		}
		return wrong;
	}

	Table *table_;
	int worker_;
	Stack stack_;
	Memory memory_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALLER_HPP */
