include $(sort $(wildcard $(BR2_EXTERNAL_PYMODUTILS_PATH)/package/*/*.mk))
