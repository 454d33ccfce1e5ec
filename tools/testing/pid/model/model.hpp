/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs operations on kernel/pid_alloc.c and on the rules of rules.hpp, and compares
 * what each one returns and changes.
 *
 * An operation is eight bytes that mean something in every state. So any list of
 * bytes is a test (fuzz.cpp), and a list still is one after some were left out
 * (shrink.cpp makes failing ones short).
 */
#ifndef MODEL_MODEL_HPP
#define MODEL_MODEL_HPP

#include <cstdint>
#include <stdexcept>

#include "model/draw.hpp"
#include "model/rules.hpp"

struct Op {
	uint8_t kind;
	uint8_t ns;
	uint8_t size;
	uint8_t mode;
	uint32_t value;
};
static_assert(sizeof(Op) == 8);

using Ops = std::vector<Op>;

/* The kernel does not do what the rules say. */
class Mismatch : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

class Model {
public:
	/* How often alloc_pid() returned what, to see what was tried. */
	std::map<int, unsigned long> answers;
	unsigned long short_of_memory = 0;
	unsigned long refused_in_pidfs = 0;
	/* Print what each operation does. */
	bool trace = false;

	Model();
	Model(const Model &) = delete;
	Model &operator=(const Model &) = delete;

	void step(const Op &op);
	/* Takes everything down; nothing may be left. */
	void finish();

private:
	static constexpr std::size_t max_namespaces = 40;
	static constexpr std::size_t max_processes = 700;

	/* The operations. */
	void allocate(const Op &op);
	void release(const Op &op);
	void attach(const Op &op);
	void new_ns(const Op &op);
	void move_cursor(const Op &op);
	void change_pid_max(const Op &op);
	void change_pid_min(const Op &op);
	void disable(const Op &op);
	void destroy(const Op &op);
	void change_caps(const Op &op);

	/* Their parts. */
	Ns &pick_ns(uint8_t which);
	Pids choose_pids(const Op &op, Ns &ns);
	static int call(const Ns &ns, const Pids &wanted, const Answer &expected, struct pid *&pid);
	bool runs_short(const Ns &ns, const Pids &wanted, const Answer &expected, bool invalid,
			struct pid *&pid);
	void refuse_in_pidfs(Ns &ns, const Pids &wanted, const Pids &nrs);
	static void become_init(Ns &ns);
	void set_pid_max(Ns &ns, int max) const;
	void free(Process *p);
	void take_down(Ns &ns);

	/* Compare the kernel with the rules, and throw a Mismatch. */
	void check(struct pid *pid, Ns &ns, const Pids &nrs);
	void compare(bool everything) const;
	void compare_used(const Ns &ns) const;

	void describe(const Ns &ns, const Pids &wanted, int expected, int err,
		      const struct pid *pid, bool failed) const;

	Rules rules_;
	Draw draw_;
	std::array<struct user_namespace *, 4> owners_;
	uint64_t last_ino_ = 0;
	unsigned long steps_ = 0;
	shim_stats before_;
};

/* All operations in @bytes; a rest that is too short for one does not count. */
void run_bytes(const std::string &bytes, bool trace);

#endif /* MODEL_MODEL_HPP */
