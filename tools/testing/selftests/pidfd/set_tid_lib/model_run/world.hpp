/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The namespaces of a run: the real ones, which the model describes.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORLD_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORLD_HPP

#include "../model/model.hpp"
#include "../model/random.hpp"
#include "../errno.hpp"
#include "../fd.hpp"
#include "../initless_ns.hpp"
#include "../pidns.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../spawn.hpp"

#include <errno.h>
#include <sched.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace model
{
class World {
public:
	/* Up to two chains; some of their levels have a user namespace of their own. */
	World(Model &m, Random &random, bool deep)
	{
		const int count = deep ? 1 : 1 + random.below(2);

		for (int i = 0; i < count && error_.empty(); i++) {
			const int depth = deep ? max_pid_ns_level : 1 + random.below(5);

			chains_.push_back(std::make_unique<NsChain>());
			add_chain(m, random, *chains_.back(), depth);
		}
	}

	const std::string &error() const { return error_; }
	const Fd &ns(int space) const
	{
		const auto &[chain, level] = places_[space];

		return chains_[chain]->ns(level);
	}
	/* Creates a namespace without an init below a namespace, with the same owner. */
	InitlessNs below(int space, int owner) const
	{
		auto join = [&] {
			return owner && setns(ns(space).get(), CLONE_NEWUSER) ? errno : 0;
		};

		if (!space)
			return InitlessNs({}, children_ns_by_proc);
		const auto &[chain, level] = places_[space];
		return InitlessNs(*chains_[chain], children_ns_by_proc, join, level);
	}
	/* Runs fn() in a child in that namespace. */
	template <typename Fn> Spawned run_in(int space, Fn fn) const
	{
		const auto &[chain, level] = places_[space];

		return space ? chains_[chain]->run_at(level, std::move(fn)) :
			       run_in_child(std::move(fn));
	}

private:
	/*
	 * Since Linux 6.14 each namespace has its own pid_max. Some get one that is low;
	 * not lower than what several workers need.
	 */
	static pid_t draw_pid_max(Model &m, const NsChain &chain, int level, Random &random)
	{
		m.new_pid_max = chain.pid_max_at(level);
		const pid_t limit =
			random.of<pid_t>({ m.new_pid_max, m.new_pid_max, 32768, 40000, 65536 });

		if (limit != m.new_pid_max)
			chain.set_pid_max_at(level, limit);
		return chain.pid_max_at(level);
	}

	/* Some have a pid_min, not higher than where several workers have their PIDs. */
	static pid_t draw_pid_min(const NsChain &chain, int level, Random &random)
	{
		const pid_t min = random.of<pid_t>({ 1, 1, 2, 150, 300, 301, 700, 2000 });

		if (need::pid_min() || min == 1)
			return 1;
		chain.run_at(level, [&] { return set_pid_min(min); }).child.wait();
		return min;
	}

	/* Creates the namespaces of a chain, and adds them to the model. */
	void add_chain(Model &m, Random &random, NsChain &chain, int depth)
	{
		int above = 0, creator = 0;
		const bool owned = !need::user_ns(), own_pid_max = !need::own_pid_max();

		for (int level = 1; level <= depth; level++) {
			const bool new_user = owned && level <= 20 && random.percent(35);

			if (const int error = chain.add(new_user ? CLONE_NEWUSER : 0)) {
				error_ = std::string("cannot create a namespace: ") +
					 errno_name(error);
				return;
			}
			PidNs ns;
			ns.parent = above;
			ns.level = level;
			ns.owner = creator;
			if (new_user) {
				m.users.push_back({ creator, m.users[creator].level + 1 });
				ns.owner = m.users.size() - 1;
			}
			if (own_pid_max)
				ns.pid_max = draw_pid_max(m, chain, level, random);
			ns.pid_min = draw_pid_min(chain, level, random);
			creator = ns.owner;
			above = m.spaces.size();
			m.spaces.push_back(ns);
			places_.emplace_back(chains_.size() - 1, level);
			m.hold(above, nspids(chain.init(level)));
		}
		/* Read where the sequences are. Nobody else moves them, but at level 0. */
		Spawned probe = chain.run_deepest([] { return 0; });
		const Pids pids = nspids(probe.child);
		size_t i = 0;
		for (int space : m.levels(above)) {
			if (space && i < pids.size())
				m.spaces[space].last = { pids[i] };
			i++;
		}
	}

	std::vector<std::unique_ptr<NsChain>> chains_;
	std::vector<std::pair<int, int>> places_ = { { 0, 0 } }; /* chain and level */
	std::string error_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORLD_HPP */
