/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules of PID allocation without any kernel code: which PIDs a call gets, or
 * why it is refused, and what that changes. The rows are those of the table in
 * Documentation/userspace-api/set_tid.rst.
 */
#ifndef MODEL_RULES_HPP
#define MODEL_RULES_HPP

#include <array>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/world.hpp"

struct Process;

struct Ns {
	/* The kernel's; nothing here uses it. */
	struct pid_namespace *real;
	Ns *parent;
	unsigned int level;
	unsigned int owner = 0;
	int pid_max = SHIM_PID_MAX_DEFAULT;
	int pid_min = 1;
	bool adding = true;
	bool init = false;
	unsigned int cursor = 0;
	unsigned int refs = 1;
	unsigned long woken = 0;
	std::map<int, Process *> used = {};
};

struct Process {
	struct pid *real;
	Ns *ns;
	/* In the order of set_tid[]. */
	Pids nrs;
};

/* What a call returns, and how row 29 reports it. */
struct Answer {
	int error = 0;
	shim_reason reason = {};
	unsigned int level = 0;
	int nr = 0;
};

/* All namespaces and processes that there are. */
struct Rules {
	std::list<Ns> namespaces;
	std::map<Process *, std::unique_ptr<Process>> processes;
	/* Does the caller have a capability in this user namespace? */
	std::array<bool, 4> capable = { true, true, true, true };

	Ns &root() { return namespaces.front(); }
	Ns &youngest() { return namespaces.back(); }

	/* From the innermost level outwards. */
	static std::vector<Ns *> levels(Ns &ns);

	Ns &add_ns(struct pid_namespace *real, Ns &parent, unsigned int owner);
	void remove_ns(Ns &ns);

	/* How many processes is it the innermost namespace of? */
	static long processes_of(const Ns &ns);

	/* Rows 7 to 10. */
	Answer validate(const Ns &ns, const Pids &wanted) const;
	/* Rows 9 and 11 to 13: the PIDs, or why there are none. */
	Answer claim(Ns &ns, const Pids &wanted, Pids &nrs) const;
	Process *publish(Ns &ns, const Pids &nrs, std::size_t requested, struct pid *real);
	void release(Process *p);

	/* Row 28. */
	static bool floor_fits(const Ns &ns, int floor);

	static bool may_attach(const Process &p);
	/* The first process becomes the init, if there is one and it may. */
	static bool become_init(Ns &ns);

	std::string name(const Ns &ns) const;
	std::string name(const Process &p) const;

private:
	static int automatic(const Ns &ns);
};

std::string name(const Pids &nrs);

#endif /* MODEL_RULES_HPP */
