/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Privileges.
 */
#ifndef SET_TID_LIB_CAPABILITY_HPP
#define SET_TID_LIB_CAPABILITY_HPP

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/* Becomes an ordinary user for good: no groups, no capabilities. */
inline int become_user(uid_t uid = 65534)
{
	if (setgroups(0, nullptr) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return errno;
	/* Or else /proc/self would still belong to root. */
	return prctl(PR_SET_DUMPABLE, 1) ? errno : 0;
}

namespace detail
{
struct Capabilities {
	uint64_t effective = 0;
	uint64_t permitted = 0;

	int get()
	{
		__user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
		__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

		if (syscall(__NR_capget, &head, data))
			return errno;
		effective = data[0].effective | uint64_t{ data[1].effective } << 32;
		permitted = data[0].permitted | uint64_t{ data[1].permitted } << 32;
		return 0;
	}
	int set() const
	{
		__user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
		__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

		data[0].effective = effective;
		data[1].effective = effective >> 32;
		data[0].permitted = permitted;
		data[1].permitted = permitted >> 32;
		return syscall(__NR_capset, &head, data) ? errno : 0;
	}
};
} // namespace detail

inline bool has_capability(int cap)
{
	detail::Capabilities caps;

	return !caps.get() && caps.effective >> cap & 1;
}

/* Gives up every capability but these. */
inline int keep_capabilities(std::initializer_list<int> keep)
{
	detail::Capabilities caps;

	for (int cap : keep)
		caps.permitted |= uint64_t{ 1 } << cap;
	caps.effective = caps.permitted;
	return caps.set();
}

inline int drop_capabilities(std::initializer_list<int> drop)
{
	detail::Capabilities caps;

	if (int error = caps.get())
		return error;
	for (int cap : drop)
		caps.permitted &= ~(uint64_t{ 1 } << cap);
	caps.effective &= caps.permitted;
	return caps.set();
}

/* Root gets all capabilities back when it runs a program, but for these. */
inline int lose_capabilities(std::initializer_list<int> caps)
{
	for (int cap : caps)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return errno;
	return 0;
}

#endif /* SET_TID_LIB_CAPABILITY_HPP */
