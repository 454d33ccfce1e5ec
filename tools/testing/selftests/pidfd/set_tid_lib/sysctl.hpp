/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Settings in /proc/sys.
 */
#ifndef SET_TID_LIB_SYSCTL_HPP
#define SET_TID_LIB_SYSCTL_HPP

#include <algorithm>
#include <string>

#include "file.hpp"

/* A number in /proc/sys. The old value is restored at the end of the scope. */
class Sysctl {
public:
	explicit Sysctl(const std::string &name)
		: name_(name), path_("/proc/sys/" + name), saved_(read_number(path_))
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

	/* Sets what a test needs. Returns a null pointer, or what is missing. */
	const char *need(long value)
	{
		if (!set(value))
			return nullptr;
		std::replace(name_.begin(), name_.end(), '/', '.');
		missing_ = "needs a " + name_ + " of " + std::to_string(value);
		return missing_.c_str();
	}

private:
	std::string name_, path_, missing_;
	long saved_;
	bool changed_ = false;
};

#endif /* SET_TID_LIB_SYSCTL_HPP */
