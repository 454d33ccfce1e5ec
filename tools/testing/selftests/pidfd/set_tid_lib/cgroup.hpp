/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control groups.
 */
#ifndef SET_TID_LIB_CGROUP_HPP
#define SET_TID_LIB_CGROUP_HPP

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "fd.hpp"
#include "file.hpp"

/*
 * A cgroup (v2) with the pids controller, removed at the end of the scope. It
 * has a mount of its own that is attached nowhere: the system need not have
 * mounted the hierarchy.
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

namespace need
{
inline const char *cgroup()
{
	return Cgroup().missing();
}
} // namespace need

#endif /* SET_TID_LIB_CGROUP_HPP */
