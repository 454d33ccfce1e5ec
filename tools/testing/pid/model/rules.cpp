// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of PID allocation, see rules.hpp.
 */

#include <algorithm>
#include <cerrno>

#include "model/rules.hpp"

std::vector<Ns *> Rules::levels(Ns &ns)
{
	std::vector<Ns *> nss;

	for (Ns *each = &ns; each; each = each->parent)
		nss.push_back(each);
	return nss;
}

Ns &Rules::add_ns(struct pid_namespace *real, Ns &parent, unsigned int owner)
{
	parent.refs += !!parent.parent;
	return namespaces.emplace_back(
		Ns{ real, &parent, parent.level + 1, owner, root().pid_max });
}

void Rules::remove_ns(Ns &ns)
{
	if (ns.parent->parent)
		ns.parent->refs--;
	namespaces.remove_if([&](const Ns &each) { return &each == &ns; });
}

long Rules::processes_of(const Ns &ns)
{
	return std::count_if(ns.used.begin(), ns.used.end(),
			     [&](const auto &entry) { return entry.second->ns == &ns; });
}

/* 0: there is none. */
static int next_free(const Ns &ns, unsigned int from, unsigned int last)
{
	for (auto it = ns.used.lower_bound(from);
	     from <= last && it != ns.used.end() && it->first == static_cast<int>(from); ++it)
		from++;
	return from <= last ? from : 0;
}

bool Rules::floor_fits(const Ns &ns, int floor)
{
	return ns.pid_max - floor >= 300;
}

int Rules::automatic(const Ns &ns)
{
	const unsigned int reserved = SHIM_RESERVED_PIDS, last = ns.pid_max - 1;
	const unsigned int floor = floor_fits(ns, ns.pid_min) ? ns.pid_min : 1;
	const unsigned int first = std::max(floor, ns.cursor > reserved ? reserved : 1);
	const int nr = next_free(ns, std::max(ns.cursor, first), last);

	return nr ? nr : next_free(ns, first, last);
}

Answer Rules::validate(const Ns &ns, const Pids &wanted) const
{
	const Ns *each = &ns;

	if (wanted.size() > ns.level + 1)
		return { -EINVAL, SHIM_TOO_MANY, ns.level, wanted[ns.level + 1] };
	for (pid_t nr : wanted) {
		if (nr < 1 || nr >= each->pid_max)
			return { -EINVAL, SHIM_OUT_OF_RANGE, each->level, nr };
		if (nr != 1 && !each->init)
			return { -EINVAL, SHIM_NO_INIT_YET, each->level, nr };
		if (!capable[each->owner])
			return { -EPERM, SHIM_NO_CAPABILITY, each->level, nr };
		each = each->parent;
	}
	return {};
}

Answer Rules::claim(Ns &ns, const Pids &wanted, Pids &nrs) const
{
	for (Ns *each : levels(ns)) {
		const std::size_t i = nrs.size();
		const bool asked = i < wanted.size();
		int nr = asked ? wanted[i] : 0;

		if (asked && each->used.count(nr))
			return { -EEXIST, SHIM_IN_USE, each->level, nr };
		if (!each->adding)
			return { -ENOMEM, SHIM_LOST_INIT, each->level, nr };
		if (!asked && !each->init && each->used.count(1))
			return { -EINVAL, SHIM_NO_INIT_YET, each->level, 0 };
		if (!asked)
			nr = each->init ? automatic(*each) : 1;
		if (!nr)
			return { -EAGAIN, SHIM_NONE_FREE, each->level, 0 };
		nrs.push_back(nr);
	}
	return {};
}

Process *Rules::publish(Ns &ns, const Pids &nrs, std::size_t requested, struct pid *real)
{
	auto p = std::make_unique<Process>(Process{ real, &ns, nrs });
	std::size_t i = 0;

	for (Ns *each : levels(ns)) {
		each->used[nrs[i]] = p.get();
		if (i >= requested)
			each->cursor = nrs[i] + 1;
		i++;
	}
	if (ns.parent)
		ns.refs++;
	Process *const key = p.get();

	processes.emplace(key, std::move(p));
	return key;
}

void Rules::release(Process *p)
{
	std::size_t i = 0;

	for (Ns *each : levels(*p->ns)) {
		each->used.erase(p->nrs[i++]);
		if (each->adding && each->used.empty())
			each->cursor = 0;
		if (!each->adding && (each->used.size() == 1 || each->used.size() == 2))
			each->woken++;
	}
	if (p->ns->parent)
		p->ns->refs--;
	processes.erase(p);
}

bool Rules::may_attach(const Process &p)
{
	for (const Ns *each : levels(*p.ns))
		if (each->level && !each->adding)
			return false;
	return true;
}

bool Rules::become_init(Ns &ns)
{
	const auto it = ns.used.find(1);

	if (ns.init || it == ns.used.end() || it->second->ns != &ns || !may_attach(*it->second))
		return false;
	ns.init = true;
	return true;
}

std::string Rules::name(const Ns &ns) const
{
	std::size_t i = 0;

	for (const Ns &each : namespaces) {
		if (&each == &ns)
			break;
		i++;
	}
	return "ns " + std::to_string(i) + " (level " + std::to_string(ns.level) + ")";
}

std::string Rules::name(const Process &p) const
{
	return name(*p.ns) + " " + ::name(p.nrs);
}

std::string name(const Pids &nrs)
{
	std::string s = "{";

	for (pid_t nr : nrs)
		s += " " + std::to_string(nr);
	return s + " }";
}
