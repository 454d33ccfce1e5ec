/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Settings in /proc/sys.
 */
#ifndef SET_TID_LIB_SYSCTL_HPP
#define SET_TID_LIB_SYSCTL_HPP

#include <string>

#include "file.hpp"

/* A number in /proc/sys. The old value is restored at the end of the scope. */
class Sysctl {
public:
	explicit Sysctl(const std::string &name)
		: path_("/proc/sys/" + name), saved_(read_number(path_))
	{
	}
	Sysctl(const Sysctl &) = delete;
	~Sysctl()
	{
		if (saved_ >= 0 && changed_)
			write_file(path_, std::to_string(saved_));
	}

	long saved() const { return saved_; }
	long get() const { return read_number(path_); }
	int set(long value)
	{
		changed_ = true;
		return write_file(path_, std::to_string(value));
	}

private:
	std::string path_;
	long saved_;
	bool changed_ = false;
};

#endif /* SET_TID_LIB_SYSCTL_HPP */
