/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of Documentation/userspace-api/set_tid_criu.rst, as they stand there.
 */
#ifndef SET_TID_LIB_CRIU_RECIPE_HPP
#define SET_TID_LIB_CRIU_RECIPE_HPP

#include <stdlib.h>
#include <sys/wait.h>

#include <fstream>
#include <string>
#include <vector>

/* The literal blocks of the section about pods, one after the other. */
inline std::vector<std::string> recipe(const std::string &name)
{
	std::ifstream file(name);
	std::vector<std::string> steps;
	bool inside = false, block = false;
	std::string previous;

	for (std::string line; std::getline(file, line); previous = line) {
		if (line.starts_with("====") || line.starts_with("----"))
			inside = previous == "Restoring into a pod";
		if (!inside)
			continue;
		if (line.ends_with("::")) {
			steps.emplace_back();
			block = true;
		} else if (line.starts_with("    ") && block) {
			steps.back() += line.substr(4) + "\n";
		} else if (!line.empty()) {
			block = false;
		}
	}
	return steps;
}

/* Carries it out in a shell that stops at the first error. Returns its exit status. */
inline int run_step(const std::string &step)
{
	const int status = system(("set -e\n" + step).c_str());

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif /* SET_TID_LIB_CRIU_RECIPE_HPP */
