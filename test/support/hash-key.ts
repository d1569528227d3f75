/** The hash key of all tests. Apart, since most that need it need no generators of sessions. */
export const hashKey = { high: 0x5e551011, low: 0xca57a11e };
